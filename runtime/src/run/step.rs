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
    end::Ended,
    frame::{self, Pushed},
    output::Verdict,
    own,
};
use crate::{
    CancellationToken,
    clock::Ticks,
    metrics::{self, Stripe},
    panic::{self, Caught},
};

/// A run, lent for one step.
pub(super) struct Step<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) body: &'a mut dyn Body,
}

/// This thread's counters of the function.
pub(super) type Here = metrics::Here<'static, Stripe>;

/// What the poll of the run comes to, unless its body is to be polled.
pub(super) type Go<C = ()> = ControlFlow<Poll<Ended>, C>;

/// Polls a run. Where it ends without a value, its body has been given the error.
///
/// A function that calls itself has one frame of this function on the stack for each level. What most polls do not need
/// is therefore in functions that are not inlined: their variables would take room in this frame.
pub(super) fn poll(
    step: &mut Step<'_>,
    cx: &mut Context<'_>,
    around: &Around<'_>,
) -> Poll<Ended> {
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
    pub(super) fn go(&mut self, cx: &mut Context<'_>, around: &Around<'_>) -> Go<Here> {
        let now = match self.core.stage {
            Stage::New | Stage::Spawned => self.first(cx, around)?,
            Stage::Running => {
                self.again(cx, around.alarm)?;
                return Go::Continue(self.core.spec.here());
            }
            Stage::Waiting | Stage::Refused | Stage::Done => {
                self.before_first(cx, around.alarm)?;
                None
            }
        };
        Go::Continue(self.begin(now))
    }

    /// A run that has been polled, but whose body has not.
    #[cold]
    #[inline(never)]
    fn before_first(&mut self, cx: &mut Context<'_>, alarm: Option<&Alarm>) -> Go {
        match self.core.stage {
            Stage::Waiting => self.wait(cx, alarm),
            Stage::Refused => {
                let end = self.end_cancelled();
                Go::Break(Poll::Ready(self.deliver(end)))
            }
            _ => panic!("a supervised future was polled after it had ended"),
        }
    }

    /// The run has all that it waited for.
    #[inline]
    fn begin(&mut self, now: Option<Ticks>) -> Here {
        let here = self.core.spec.here();
        here.started();
        self.core.stage = Stage::Running;
        if self.core.owns_token() {
            own::hand(self.token);
        }
        self.core.since = now.unwrap_or_else(Ticks::now);
        here
    }

    #[inline]
    fn poll_body(
        &mut self,
        here: Here,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Ended> {
        let pushed = self.enter();
        let polled = panic::catch(|| self.body.poll(cx));
        self.leave(pushed);
        self.polled(polled, here, cx, alarm)
    }

    /// The body is about to be polled.
    #[inline]
    pub(super) fn enter(&mut self) -> Pushed {
        let holds_permit = self.core.permit.is_some();
        frame::enter_run(self.core.spec, holds_permit, self.core.frame_if_any())
    }

    /// Nothing unwinds out of a body, so that what is entered is left without a guard.
    #[inline]
    pub(super) fn leave(&mut self, pushed: Pushed) {
        if frame::leave_run(pushed) {
            self.core.keep_frame(pushed);
        }
    }

    /// What a poll of the body comes to.
    #[inline]
    pub(super) fn polled(
        &mut self,
        polled: Result<Option<Verdict>, Caught>,
        here: Here,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Ended> {
        match polled {
            Ok(Some(verdict)) => Poll::Ready(self.end_returned(verdict, here)),
            Ok(None) => self.poll_pending(cx, alarm),
            Err(caught) => Poll::Ready(self.end_caught(caught)),
        }
    }
}
