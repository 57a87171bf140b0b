//! One step of a run, whatever its function: a poll, or the drop by its owner.
//!
//! Whatever a run waits for, there is one place that polls its body: the compiler makes one piece of code of all
//! that lies between the call and the body.

use std::{
    ops::ControlFlow,
    task::{Context, Poll},
};

use super::{
    Around,
    alarm::Alarm,
    body::Body,
    core::{Core, Stage},
    end::End,
    frame, own,
};
use crate::{
    CancellationToken,
    clock::Ticks,
    metrics::{self, Stripe},
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

/// Polls a run. Where it ends without an error, its body has returned.
pub(super) fn poll(
    core: &mut Core,
    token: &CancellationToken,
    body: &mut dyn Body,
    cx: &mut Context<'_>,
    around: Around<'_>,
) -> Poll<End> {
    let mut step = Step { core, token, body };
    let go = match step.core.stage {
        Stage::New | Stage::Spawned => step.first(cx, around),
        Stage::Running => step.again(cx, around.alarm),
        Stage::Waiting => step.wait(cx, around.alarm),
        Stage::Refused => Go::Break(Poll::Ready(step.end_cancelled())),
        Stage::Done => panic!("a supervised future was polled after it had ended"),
    };
    match go {
        Go::Continue(here) => step.poll_body(here, cx, around.alarm),
        Go::Break(polled) => polled,
    }
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
        if self.core.owns_token() {
            own::hand(self.token);
        }
        self.core.since = now.unwrap_or_else(Ticks::now);
        Go::Continue(here)
    }

    #[inline]
    fn poll_body(&mut self, here: Here, cx: &mut Context<'_>, alarm: Option<&Alarm>) -> Poll<End> {
        let (spec, holds_permit) = (self.core.spec, self.core.permit.is_some());
        let mut frame = self.core.take_frame();
        let polled = frame::run(spec, holds_permit, &mut frame, || self.body.poll(cx));
        match polled {
            Ok(Some(verdict)) => Poll::Ready(self.end_returned(verdict, here)),
            Ok(None) => {
                self.core.keep_frame(frame);
                self.poll_pending(cx, alarm)
            }
            Err(caught) => Poll::Ready(self.end_panicked(caught)),
        }
    }
}
