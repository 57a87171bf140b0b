//! One step of a run, whatever its function: a poll, or the drop by its owner.
//!
//! Whatever a run waits for, there is one place that polls its body: the compiler makes one piece of code of all
//! that lies between the call and the body.

use std::{
    any::Any,
    future::Future,
    mem::ManuallyDrop,
    ops::ControlFlow,
    panic::UnwindSafe,
    task::{Context, Poll},
};

use crate::{
    context::cancel_waker::CancelWaker,
    context::stack::Pushed,
    run::PollContext,
    run::body::{Body, InPlace},
    run::core::{Core, RunState, Stop},
    run::end::RunEnded,
    run::first::first,
    run::output::Verdict,
};
use crate::{function::metrics::Stripe, panic};
use tokio_util::sync::CancellationToken;

/// A run, lent for one step.
pub(super) struct Step<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) body: &'a mut dyn Body,
}

/// A body, lent for one poll of its run.
pub(super) struct Lent<'a, 'c, B: ?Sized> {
    /// There while the body is polled.
    pub(super) entered: Option<Entered>,
    pub(super) cx: &'a mut Context<'c>,
    pub(super) body: B,
}

/// The same, of any type.
type LentBody<'a, 'c, 'b> = Lent<'a, 'c, dyn Body + 'b>;

impl<'b> LentBody<'_, '_, 'b> {
    /// For what is seldom done: most polls need no body here.
    #[inline]
    pub(super) fn step<'a>(
        &'a mut self,
        core: &'a mut Core,
        token: &'a CancellationToken,
    ) -> Step<'a>
    where
        'b: 'a,
    {
        Step { core, token, body: &mut self.body }
    }
}

/// A run whose body is polled, on the stack of runs and within the boundary for panics.
pub(super) struct Entered {
    counters: LocalMetrics,
    pushed: Pushed,
    /// Without a drop: it is always taken out again.
    outer: ManuallyDrop<panic::Outer>,
}

/// This thread's counters of the function.
pub(super) type LocalMetrics = crate::function::metrics::stripes::LocalMetrics<'static, Stripe>;

/// What the poll of the run comes to, unless its body is to be polled.
pub(super) type StepFlow<C = ()> = ControlFlow<Poll<RunEnded>, C>;

/// A run, lent for one poll.
pub(super) struct OnePoll<'a, 'c, F: Future> {
    pub(super) run: LentRun<'a>,
    pub(super) lent: Lent<'a, 'c, InPlace<'a, F>>,
}

/// All of it but its body. An optimized build has it in registers, since its address is not lent.
pub(super) struct LentRun<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) poll_context: &'a PollContext<'a>,
}

/// What a poll of the body comes to, caught.
pub(super) type Polled = Result<Option<Verdict>, Box<dyn Any + Send>>;

impl LentRun<'_> {
    /// The second half of a poll.
    #[inline]
    pub(super) fn exit(self, lent: &mut LentBody<'_, '_, '_>, polled: Polled) -> Poll<RunEnded> {
        let Self { core, token, poll_context } = self;
        match polled {
            Ok(Some(verdict)) => Poll::Ready(returned(core, token, &mut lent.entered, verdict)),
            Ok(None) => pending(core, token, lent, poll_context),
            Err(payload) => Poll::Ready(caught(core, token, lent, payload)),
        }
    }

    /// The first half of a poll: all before the body, which the caller polls unless the poll is over.
    ///
    /// Meanwhile no frame but the caller's is on the stack: a function may call itself.
    #[inline]
    pub(super) fn enter(&mut self, lent: &mut LentBody<'_, '_, '_>) -> StepFlow {
        enter(self.core, self.token, lent, self.poll_context)
    }
}

/// The same two halves without optimization, where what a function returns takes room on the stack of its caller.
#[cfg(debug_assertions)]
impl<F: Future> OnePoll<'_, '_, F> {
    /// Whether the body is to be polled now.
    pub(super) fn enter(&mut self) -> bool {
        self.run.enter(&mut self.lent).is_continue()
    }

    pub(super) fn exit(&mut self, polled: Polled) {
        let LentRun { core, token, poll_context } = &mut self.run;
        _ = LentRun { core, token, poll_context }.exit(&mut self.lent, polled);
    }
}

/// A poll between its halves. After a panic only the boundary uses it, which knows.
pub(super) struct Between<'a, 'b, 'c, F: Future>(pub(super) &'a mut Lent<'b, 'c, InPlace<'b, F>>);

impl<F: Future> UnwindSafe for Between<'_, '_, '_, F> {}

impl<F: Future> Between<'_, '_, '_, F> {
    // By force, as what it calls: without optimization there is a frame less.
    #[inline(always)]
    pub(super) fn poll(&mut self) -> Option<Verdict> {
        self.0.body.poll(self.0.cx)
    }
}

fn enter(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    poll_context: &PollContext<'_>,
) -> StepFlow {
    let begins = match core.state {
        RunState::New | RunState::Spawned => Some(first(core, token, lent, poll_context)?),
        RunState::Running => {
            if core.stop() == Stop::No && core.poll_fired(token, lent.cx, poll_context.cancel_waker)
            {
                if let Some(completion) = lent.step(core, token).heed() {
                    return StepFlow::Break(Poll::Ready(completion));
                }
            }
            None
        }
        RunState::Waiting | RunState::Refused | RunState::Done => {
            let Lent { cx, body, .. } = lent;
            Step { core, token, body }.before_first(cx, poll_context.cancel_waker)?;
            Some(None)
        }
    };
    let counters = core.spec.local_metrics();
    if let Some(now) = begins {
        core.begin(token, &counters, now);
    }
    let pushed = core.push();
    lent.entered = Some(Entered { counters, pushed, outer: ManuallyDrop::new(panic::enter()) });
    StepFlow::Continue(())
}

/// The second half, where the body has returned.
fn returned(
    core: &mut Core,
    token: &CancellationToken,
    entered: &mut Option<Entered>,
    verdict: Verdict,
) -> RunEnded {
    let counters = exit(core, entered);
    RunEnded::returned(core, token, verdict, counters)
}

/// The second half, where the body is pending.
fn pending(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    poll_context: &PollContext<'_>,
) -> Poll<RunEnded> {
    exit(core, &mut lent.entered);
    let Lent { cx, body, .. } = lent;
    Step { core, token, body }.poll_pending(cx, poll_context.cancel_waker)
}

/// The second half, where the body has panicked.
#[cold]
fn caught(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    payload: Box<dyn Any + Send>,
) -> RunEnded {
    let Entered { pushed, outer, .. } = take(&mut lent.entered);
    let caught = panic::caught(payload, ManuallyDrop::into_inner(outer));
    core.pop(pushed);
    let mut step = lent.step(core, token);
    let end = step.finish_panicked(caught);
    step.deliver(end)
}

#[inline]
fn take(entered: &mut Option<Entered>) -> Entered {
    entered.take().expect("a run whose body was polled has entered")
}

/// Leaves the boundary for panics, and the stack of runs.
#[inline]
fn exit(core: &mut Core, entered: &mut Option<Entered>) -> LocalMetrics {
    let Entered { counters, pushed, outer } = take(entered);
    panic::exit(ManuallyDrop::into_inner(outer));
    core.pop(pushed);
    counters
}

/// The owner drops a run that has not ended.
pub(super) fn on_drop(core: &mut Core, token: &CancellationToken, body: &mut dyn Body) {
    Step { core, token, body }.on_drop();
}

impl Step<'_> {
    /// A run that has been polled, but whose body has not.
    #[cold]
    #[inline(never)]
    fn before_first(
        &mut self,
        cx: &mut Context<'_>,
        cancel_waker: Option<&CancelWaker>,
    ) -> StepFlow {
        match self.core.state {
            RunState::Waiting => self.poll_waiting(cx, cancel_waker),
            RunState::Refused => {
                let end = self.finish_cancelled();
                StepFlow::Break(Poll::Ready(self.deliver(end)))
            }
            _ => panic!("a supervised future was polled after it had ended"),
        }
    }
}
