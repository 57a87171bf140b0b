//! One step of a run, whatever its function: a poll, or the drop by its owner.
//!
//! Whatever a run waits for, there is one place that polls its body: the compiler makes one piece of code of all
//! that lies between the call and the body.

use std::{
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Around,
    alarm::Alarm,
    body::Body,
    core::{Core, Stage},
    end::End,
    frame::{self, Frame},
    output::Verdict,
    own,
};
use crate::{
    CancellationToken,
    clock::Ticks,
    metrics::{self, Stripe},
    panic::Caught,
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
    around: &Around<'_>,
) -> Poll<End> {
    let mut step = Step { core, token, body };
    match step.go(cx, around) {
        Go::Continue(here) => step.poll_body(here, cx, around.alarm),
        Go::Break(polled) => polled,
    }
}

/// The owner drops a run that has not ended.
pub(super) fn abandon(core: &mut Core, token: &CancellationToken, body: &mut dyn Body) {
    Step { core, token, body }.abandon();
}

impl Step<'_> {
    /// All that comes before the body.
    #[inline]
    pub(super) fn go(&mut self, cx: &mut Context<'_>, around: &Around<'_>) -> Go {
        match self.core.stage {
            Stage::New | Stage::Spawned => self.first(cx, around),
            Stage::Running => self.again(cx, around.alarm),
            Stage::Waiting => self.wait(cx, around.alarm),
            Stage::Refused => Go::Break(Poll::Ready(self.end_cancelled())),
            Stage::Done => panic!("a supervised future was polled after it had ended"),
        }
    }

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
        self.polled(polled, frame, here, cx, alarm)
    }

    /// What a poll of the body comes to.
    #[inline]
    pub(super) fn polled(
        &mut self,
        polled: Result<Option<Verdict>, Caught>,
        frame: Option<Arc<Frame>>,
        here: Here,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<End> {
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
