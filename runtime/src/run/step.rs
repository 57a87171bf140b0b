//! One step of a run, whatever its function: a poll, or the drop by its owner.
//!
//! Whatever a run waits for, there is one place that polls its body: the compiler makes one piece of code of all
//! that lies between the call and the body.

use std::{
    any::Any,
    mem::ManuallyDrop,
    ops::ControlFlow,
    task::{Context, Poll},
};

use crate::{
    context::cancel_waker::CancelWaker,
    context::stack::Pushed,
    run::PollContext,
    run::body::Body,
    run::core::{Core, RunState, Stop},
    run::end::Completion,
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
pub(super) struct Lent<B: ?Sized> {
    /// There while the body is polled.
    pub(super) entered: Option<Entered>,
    pub(super) body: B,
}

impl<'b> Lent<dyn Body + 'b> {
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
pub(super) type StepFlow<C = ()> = ControlFlow<Poll<Completion>, C>;

/// The first half of a poll: all before the body, which the caller polls unless the poll is over.
///
/// Meanwhile no frame but the caller's is on the stack: a function may call itself.
pub(super) fn enter(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut Lent<dyn Body + '_>,
    cx: &mut Context<'_>,
    poll_context: &PollContext<'_>,
) -> StepFlow {
    let begins = match core.state {
        RunState::New | RunState::Spawned => Some(first(core, token, lent, cx, poll_context)?),
        RunState::Running => {
            if core.stop() == Stop::No && core.poll_fired(token, cx, poll_context.cancel_waker) {
                if let Some(completion) = lent.step(core, token).heed() {
                    return StepFlow::Break(Poll::Ready(completion));
                }
            }
            None
        }
        RunState::Waiting | RunState::Refused | RunState::Done => {
            lent.step(core, token).before_first(cx, poll_context.cancel_waker)?;
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
pub(super) fn returned(
    core: &mut Core,
    token: &CancellationToken,
    entered: &mut Option<Entered>,
    verdict: Verdict,
) -> Completion {
    let counters = exit(core, entered);
    Completion::returned(core, token, verdict, counters)
}

/// The second half, where the body is pending.
pub(super) fn pending(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut Lent<dyn Body + '_>,
    cx: &mut Context<'_>,
    poll_context: &PollContext<'_>,
) -> Poll<Completion> {
    exit(core, &mut lent.entered);
    lent.step(core, token).poll_pending(cx, poll_context.cancel_waker)
}

/// The second half, where the body has panicked.
#[cold]
pub(super) fn caught(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut Lent<dyn Body + '_>,
    payload: Box<dyn Any + Send>,
) -> Completion {
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
