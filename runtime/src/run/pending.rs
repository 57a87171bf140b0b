//! A run whose body is pending: what each poll looks at, in which order.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{runtime::Handle, task::coop::unconstrained, time::Instant};

use crate::{
    context::cancel_waker::CancelWaker,
    context::shields::RunShields,
    context::{CancelEpoch, shields},
    run::core::{ColdStateProjected, Core, Grace, Overdue, Stop},
    run::end::{Completion, RunEnded},
    run::step::Step,
};
use crate::{panic, panic::quietly};
use tokio_util::sync::CancellationToken;

impl Core {
    /// Whether the token has fired; if not, the task is woken when it does.
    pub(super) fn poll_fired(
        &mut self,
        token: &CancellationToken,
        cx: &mut Context<'_>,
        cancel_waker: Option<&CancelWaker>,
    ) -> bool {
        if let Some(cancel_waker) = cancel_waker {
            if cancel_waker.is_for(token) {
                return token.is_cancelled();
            }
            // The closure of the spawn may have ignored the token of its scope, which is obeyed all the same.
            if cancel_waker.fired() {
                return true;
            }
        }
        let epoch = CancelEpoch::now();
        let mut cold = self.cold_mut();
        if cold.watch.is_none() {
            cold.watch.set(Some(token.clone().cancelled_owned()));
        }
        let watch = cold.watch.as_pin_mut().expect("set above");
        // The body may have spent the budget, and the token must be heard all the same.
        let fired = pin!(unconstrained(watch)).poll(cx).is_ready();
        if !fired {
            *cold.uncancelled = epoch;
        }
        fired
    }
}

impl Step<'_> {
    /// [`on_token_fired`](Self::heed_token), and the end of the run if there is one.
    #[cold]
    #[inline(never)]
    pub(super) fn heed(&mut self) -> Option<RunEnded> {
        let end = self.on_token_fired()?;
        Some(self.deliver(end))
    }

    /// Whether someone wakes the task when the token fires.
    #[inline]
    fn is_watched(&self, cancel_waker: Option<&CancelWaker>) -> bool {
        cancel_waker.is_some_and(|cancel_waker| cancel_waker.is_for(self.token))
            || self.core.cold.as_ref().is_some_and(|cold| cold.watch.is_some())
    }

    /// The body is pending: sees to it that the token and the clock are heard.
    #[inline(never)]
    pub(super) fn poll_pending(
        &mut self,
        cx: &mut Context<'_>,
        cancel_waker: Option<&CancelWaker>,
    ) -> Poll<RunEnded> {
        if self.core.stop() == Stop::No
            && !self.is_watched(cancel_waker)
            && self.core.poll_fired(self.token, cx, cancel_waker)
        {
            if let Some(completion) = self.heed() {
                return Poll::Ready(completion);
            }
        }
        let is_overdue = matches!(self.core.stop(), Stop::Overdue(_));
        if !is_overdue && self.core.spec.timeout().is_none() && self.core.timer().is_none() {
            return Poll::Pending;
        }
        self.poll_clock(cx).map(|end| self.deliver(end))
    }

    /// The body is pending, and there is a time at which it is dropped.
    #[inline(never)]
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Completion> {
        if matches!(self.core.stop(), Stop::Overdue(_)) {
            return match panic::catch(|| self.poll_overdue(cx)) {
                Ok(polled) => polled,
                Err(caught) => Poll::Ready(self.finish_panicked(caught)),
            };
        }
        // Without a timer in its runtime, tokio panics.
        match panic::catch(|| self.poll_timer(cx)) {
            Ok(polled) => polled,
            Err(caught) => Poll::Ready(self.finish_panicked(caught)),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Completion> {
        self.core.arm_timeout();
        let Some(timer) = self.core.timer() else { return Poll::Pending };
        ready!(pin!(unconstrained(timer)).poll(cx));
        let why = match self.core.stop() {
            Stop::Within(grace) => Overdue::GraceSpent(grace),
            _ => Overdue::TimedOut,
        };
        match self.finish_unless_shielded(why) {
            Some(completion) => Poll::Ready(completion),
            None => self.poll_overdue(cx),
        }
    }

    /// The token has fired, its own or that of its scope: the body is asked to end by itself, or dropped.
    #[cold]
    fn on_token_fired(&mut self) -> Option<Completion> {
        if let Some(mut cold) = self.core.cold() {
            cold.watch.set(None);
        }
        let completion = if self.core.spec.cooperates() {
            match panic::catch(|| self.request_stop()) {
                Ok(true) => None,
                Ok(false) => self.finish_unless_shielded(Overdue::Cancelled),
                Err(caught) => return Some(self.finish_panicked(caught)),
            }
        } else {
            self.finish_unless_shielded(Overdue::Cancelled)
        };
        if completion.is_none() {
            shields::set_stopping();
        }
        completion
    }

    /// Whether the body knows that it is to stop: its own token has fired. If only that of its scope has, its own
    /// is fired here, unless others may wait for it.
    fn cancel_own_token(&self) -> bool {
        let knows = self.token.is_cancelled();
        if !knows && self.core.owns_token() {
            quietly(|| self.token.cancel());
            return true;
        }
        knows
    }

    fn finish_unless_shielded(&mut self, why: Overdue) -> Option<Completion> {
        let holds = |shields: &Arc<RunShields>| shields.pending.mark_ending();
        let held = |cold: ColdStateProjected<'_>| cold.shields.as_ref().is_some_and(holds);
        if self.core.cold().is_some_and(held) {
            *self.core.cold_mut().stop = Stop::Overdue(why);
            return None;
        }
        Some(self.finish_overdue(why))
    }

    /// Waits for the shields that hold the body.
    #[cold]
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Completion> {
        let Stop::Overdue(why) = self.core.stop() else {
            unreachable!("only an overdue run is asked to");
        };
        loop {
            let cold = self.core.cold_mut();
            let until =
                cold.shields.as_ref().and_then(|shields| shields.pending.until_or_wake(cx.waker()));
            let Some(until) = until else { return Poll::Ready(self.finish_overdue(why)) };
            let mut timer = self.core.set_timer(until);
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
        }
    }

    /// The body ends by itself: within the grace, if there is one. False if it has no grace, and cannot know that
    /// it is to stop.
    fn request_stop(&mut self) -> bool {
        let longest_grace = *self.core.cold_mut().longest_grace;
        let grace = Grace::of(self.core.spec.grace()).min(longest_grace);
        if !self.cancel_own_token() && grace == Grace::NONE {
            return false;
        }
        *self.core.cold_mut().stop = Stop::Requested;
        // Outside a runtime there is no clock to count the grace with.
        if grace == Grace::NONE || Handle::try_current().is_err() {
            return true;
        }
        self.core.arm_timeout();
        let end = Instant::now() + grace.into();
        if self.core.timer().is_some_and(|timeout| timeout.deadline() <= end) {
            return true;
        }
        self.core.set_timer(end);
        *self.core.cold_mut().stop = Stop::Within(grace);
        true
    }
}
