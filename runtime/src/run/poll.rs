//! A run under way: what each poll looks at, in which order.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::coop::unconstrained,
    time::{Instant, Sleep},
};

use super::first::{Polled, poll_body};
use super::{
    Aside, AsideProjected, Grace, Overdue, Projected, Settled, Stage, Stop, frame, itself,
    output::Verdict,
};
use crate::{
    AsToken, CancellationToken, Outcome, Rejected, TaskError,
    clock::Ticks,
    limit::Limit,
    panic::{Caught, drop_quietly},
};

impl<F: Future, T: AsToken> Projected<'_, F, T> {
    #[inline]
    pub(super) fn token(&self) -> &CancellationToken {
        let token = self.token.as_ref().expect("a run has its token until it has ended");
        token.as_token()
    }

    /// The token had fired before the first poll.
    #[cold]
    pub(super) fn refuse(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        *self.stage = Stage::Refused;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn poll_for_permit(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        let limit = self.spec.limit().expect("only a run of a function with a limit is asked to");
        *self.permit = Limit::try_acquire(limit);
        if self.permit.is_none() {
            return self.poll_full(limit, cx);
        }
        self.spec.here().waited_for(0);
        self.begin(cx)
    }

    /// The function is at its limit.
    #[cold]
    fn poll_full(
        &mut self,
        limit: &'static Limit,
        cx: &mut Context<'_>,
    ) -> Poll<Settled<F::Output>> {
        if self.spec.rejects_when_full() {
            let rejected = Rejected::full(self.spec.name(), limit.size());
            return Poll::Ready(self.end_without_value(TaskError::Rejected(rejected)));
        }
        if let Some(rejected) = itself::for_a_permit(self.spec) {
            return Poll::Ready(self.end_without_value(TaskError::Rejected(rejected)));
        }
        let wait = Box::pin(Limit::acquire(limit));
        *self.aside = Some(Box::pin(Aside::Permit { wait }));
        *self.stage = Stage::Waiting;
        *self.since = Ticks::now();
        self.spec.here().wait_begun();
        frame::waits(true);
        self.poll_waiting(cx)
    }

    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if self.poll_fired(cx) {
            return Poll::Ready(self.end_cancelled());
        }
        let Some(AsideProjected::Permit { wait }) = self.aside_projected() else {
            unreachable!("a run that waits has what it waits for");
        };
        *self.permit = Some(ready!(wait.as_mut().poll(cx)));
        *self.aside = None;
        let here = self.spec.here();
        here.wait_ended();
        here.waited_for(self.since.elapsed_nanos());
        frame::waits(false);
        self.begin(cx)
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        self.spec.here().started();
        *self.stage = Stage::Running;
        *self.since = Ticks::now();
        self.poll_body(cx)
    }

    pub(super) fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if *self.stop == Stop::No && self.poll_fired(cx) {
            if let Some(ended) = self.heed_token() {
                return Poll::Ready(ended);
            }
        }
        self.poll_body(cx)
    }

    /// Whether the token has fired; if not, the task is woken when it does.
    fn poll_fired(&mut self, cx: &mut Context<'_>) -> bool {
        if self.watch.is_none() {
            let token = self.token().clone();
            self.watch.set(Some(token.cancelled_owned()));
        }
        let watch = self.watch.as_mut().as_pin_mut().expect("set above");
        // The body may have spent the budget, and the token must be heard all the same.
        std::pin::pin!(unconstrained(watch)).poll(cx).is_ready()
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        let holds_permit = self.permit.is_some();
        let body = self.body.as_mut();
        match poll_body(self.spec, holds_permit, self.frame, body, *self.verdict, cx) {
            Polled::Returned(value, verdict) => {
                let outcome = match verdict {
                    Verdict::Ok => Outcome::Ok,
                    Verdict::Error => Outcome::Error,
                    Verdict::CarriesCancelled => self.whose_cancellation(),
                };
                let nanos = self.settle(outcome);
                Poll::Ready(Settled { outcome, nanos, result: Ok(value) })
            }
            Polled::Pending => self.poll_pending(cx),
            Polled::Panicked(caught, value) => Poll::Ready(self.end_panicked(caught, value)),
        }
    }

    /// The body has returned an error that carries a cancellation.
    #[cold]
    pub(super) fn whose_cancellation(&self) -> Outcome {
        if self.token().is_cancelled() { Outcome::Cancelled } else { Outcome::Error }
    }

    #[cold]
    pub(super) fn end_panicked(
        &mut self,
        caught: Caught,
        value: Option<F::Output>,
    ) -> Settled<F::Output> {
        drop_quietly(value);
        // A second panic, in the drop of a body that has panicked, is told by the hook alone.
        _ = self.drop_body();
        let panicked = self.panicked(caught);
        self.end_without_value(panicked)
    }

    /// The body is pending: sees to it that the token and the clock are heard.
    pub(super) fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if *self.stop == Stop::No && self.watch.is_none() && self.poll_fired(cx) {
            if let Some(ended) = self.heed_token() {
                return Poll::Ready(ended);
            }
        }
        if matches!(self.stop, Stop::Overdue(_)) {
            return self.poll_overdue(cx);
        }
        self.arm_timeout();
        let Some(timer) = self.timer() else { return Poll::Pending };
        ready!(std::pin::pin!(unconstrained(timer)).poll(cx));
        let why = match *self.stop {
            Stop::Within(grace) => Overdue::GraceSpent(grace),
            _ => Overdue::TimedOut,
        };
        match self.end_unless_shielded(why) {
            Some(ended) => Poll::Ready(ended),
            None => self.poll_overdue(cx),
        }
    }

    /// The token has fired: the body is asked to end by itself, or dropped.
    #[cold]
    fn heed_token(&mut self) -> Option<Settled<F::Output>> {
        self.watch.set(None);
        if self.spec.cooperates() {
            self.ask_to_stop();
            return None;
        }
        self.end_unless_shielded(Overdue::Cancelled)
    }

    fn end_unless_shielded(&mut self, why: Overdue) -> Option<Settled<F::Output>> {
        if self.frame.as_ref().is_some_and(|frame| frame.protection.holds_the_end()) {
            *self.stop = Stop::Overdue(why);
            return None;
        }
        Some(self.end_overdue(why))
    }

    /// Waits for the shields that hold the body.
    #[cold]
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        let Stop::Overdue(why) = *self.stop else {
            unreachable!("only an overdue run is asked to");
        };
        loop {
            let frame = self.frame.as_ref();
            let until = frame.and_then(|frame| frame.protection.until_or_wake(cx.waker()));
            let Some(until) = until else { return Poll::Ready(self.end_overdue(why)) };
            let mut timer = self.set_timer(until);
            ready!(std::pin::pin!(unconstrained(timer.as_mut())).poll(cx));
        }
    }

    fn arm_timeout(&mut self) {
        if let (Some(timeout), None) = (self.spec.timeout(), &self.aside) {
            let spent = Duration::from_nanos(self.since.elapsed_nanos());
            let sleep = tokio::time::sleep(timeout.saturating_sub(spent));
            *self.aside = Some(Box::pin(Aside::Timer { sleep }));
        }
    }

    /// The body ends by itself: within the grace, if there is one.
    fn ask_to_stop(&mut self) {
        *self.stop = Stop::Asked;
        let grace = Grace::of(self.spec.grace()).min(*self.longest_grace);
        // Outside a runtime there is no clock to count the grace with.
        if grace == Grace::NONE || Handle::try_current().is_err() {
            return;
        }
        self.arm_timeout();
        let end = Instant::now() + grace.into();
        if self.timer().is_some_and(|timeout| timeout.deadline() <= end) {
            return;
        }
        self.set_timer(end);
        *self.stop = Stop::Within(grace);
    }

    fn set_timer(&mut self, deadline: Instant) -> Pin<&mut Sleep> {
        match self.timer() {
            Some(timer) if timer.deadline() == deadline => {}
            Some(timer) => timer.reset(deadline),
            None => {
                let sleep = tokio::time::sleep_until(deadline);
                *self.aside = Some(Box::pin(Aside::Timer { sleep }));
            }
        }
        self.timer().expect("a running body that was given a timer has it")
    }

    fn timer(&mut self) -> Option<Pin<&mut Sleep>> {
        match self.aside_projected() {
            Some(AsideProjected::Timer { sleep }) => Some(sleep),
            _ => None,
        }
    }

    fn aside_projected(&mut self) -> Option<AsideProjected<'_>> {
        self.aside.as_mut().map(|aside| aside.as_mut().project())
    }
}
