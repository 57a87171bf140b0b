//! One step of a run, whatever its function: a poll, or the drop by its owner.
//!
//! Whatever a run waits for, there is one place that polls its body: the compiler makes one piece of code of all
//! that lies between the call and the body.

use std::{
    any::Any,
    mem::ManuallyDrop,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use super::{
    Around,
    alarm::Alarm,
    body::Body,
    core::{Core, Stage},
    end::End,
    frame::{self, Pushed},
    output::Verdict,
};
use crate::{
    CancellationToken,
    clock::Ticks,
    metrics::{self, Stripe},
    panic,
};

/// A run, lent for one step.
pub(super) struct Step<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) body: &'a mut dyn Body,
}

/// This thread's counters of the function.
pub(super) type Here = metrics::Here<'static, Stripe>;

/// Whether the body is to be polled now; if not, what the poll of the run comes to.
pub(super) type Go = ControlFlow<Poll<End>, Here>;

/// A run but its body, lent for the two halves of a poll.
pub(super) struct Lent<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) entered: Option<Entered>,
}

/// A run whose body is to be polled now, on the stack of runs and within the boundary for panics.
pub(super) struct Entered {
    here: Here,
    pushed: Pushed,
    /// Without a drop, which would take room on the stack: it is always taken out again.
    outer: ManuallyDrop<panic::Outer>,
}

/// What a poll of the body comes to, caught.
pub(super) type Polled = Result<Option<Verdict>, Box<dyn Any + Send>>;

/// Polls a run. Where it ends without an error, its body has returned.
pub(super) fn poll(
    core: &mut Core,
    token: &CancellationToken,
    body: &mut dyn Body,
    cx: &mut Context<'_>,
    around: Around<'_>,
) -> Poll<End> {
    let mut step = Step { core, token, body };
    match step.enter(cx, around) {
        ControlFlow::Continue(entered) => {
            let polled = catch_unwind(AssertUnwindSafe(|| step.body.poll(cx)));
            step.leave(entered, polled, cx, around.alarm)
        }
        ControlFlow::Break(polled) => polled,
    }
}

/// The first half of a poll of a call that is awaited where it is made: all before its body. The caller polls the body,
/// so that little else is on the stack meanwhile: a function may call itself. False if the poll is over.
pub(super) fn enter(lent: &mut Lent<'_>, body: &mut dyn Body, cx: &mut Context<'_>) -> bool {
    let mut step = Step { core: lent.core, token: lent.token, body };
    match step.enter(cx, Around::default()) {
        ControlFlow::Continue(entered) => {
            lent.entered = Some(entered);
            true
        }
        ControlFlow::Break(polled) => {
            step.fail(polled);
            false
        }
    }
}

/// The second half: all after its body.
pub(super) fn leave(
    lent: &mut Lent<'_>,
    body: &mut dyn Body,
    cx: &mut Context<'_>,
    polled: Polled,
) {
    let entered = lent.entered.take().expect("a run whose body was polled has entered");
    let mut step = Step { core: lent.core, token: lent.token, body };
    let polled = step.leave(entered, polled, cx, None);
    step.fail(polled);
}

/// The owner drops a run that has not ended.
pub(super) fn abandon(core: &mut Core, token: &CancellationToken, body: &mut dyn Body) {
    Step { core, token, body }.abandon();
}

impl Step<'_> {
    /// The run has all that it waited for.
    #[inline]
    pub(super) fn begin(&mut self, now: Option<Ticks>) -> Go {
        let here = self.core.spec.here();
        here.started();
        self.core.stage = Stage::Running;
        self.core.since = now.unwrap_or_else(Ticks::now);
        Go::Continue(here)
    }

    #[inline]
    fn enter(
        &mut self,
        cx: &mut Context<'_>,
        around: Around<'_>,
    ) -> ControlFlow<Poll<End>, Entered> {
        let here = match self.core.stage {
            Stage::New | Stage::Spawned => self.first(cx, around),
            Stage::Running => self.again(cx, around.alarm),
            Stage::Waiting => self.wait(cx, around.alarm),
            Stage::Refused => Go::Break(Poll::Ready(self.end_cancelled())),
            Stage::Done => panic!("a supervised future was polled after it had ended"),
        }?;
        let mut frame = self.core.take_frame();
        let pushed = frame::enter_run(self.core.spec, self.core.permit.is_some(), &mut frame);
        // It stays here if the thread is ending.
        self.core.keep_frame(frame);
        ControlFlow::Continue(Entered { here, pushed, outer: ManuallyDrop::new(panic::enter()) })
    }

    #[inline]
    fn leave(
        &mut self,
        Entered { here, pushed, outer }: Entered,
        polled: Polled,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<End> {
        let outer = ManuallyDrop::into_inner(outer);
        let caught = match polled {
            Ok(verdict) => {
                panic::leave(outer);
                Ok(verdict)
            }
            Err(payload) => Err(panic::caught(payload, outer)),
        };
        let mut frame = None;
        frame::leave_run(pushed, &mut frame);
        match caught {
            Ok(Some(verdict)) => Poll::Ready(self.end_returned(verdict, here)),
            Ok(None) => {
                self.core.keep_frame(frame);
                self.poll_pending(cx, alarm)
            }
            Err(caught) => Poll::Ready(self.end_panicked(caught)),
        }
    }

    /// Gives the place of the value what the function declares for a run that has ended without one.
    #[inline]
    fn fail(&mut self, polled: Poll<End>) {
        if let Poll::Ready(End { error: Some(error), .. }) = polled {
            self.body.fail(error);
        }
    }
}
