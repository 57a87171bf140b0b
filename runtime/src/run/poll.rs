//! A run under way: what each poll looks at, in which order.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::coop::{poll_proceed, unconstrained},
    time::Instant,
};

use super::{Aside, Grace, Projected, Settled, Stage, Stop, output::Verdict};
use crate::{
    AsToken, Outcome, Rejected, TaskError, TimedOut,
    clock::Ticks,
    events,
    limit::Limit,
    panic::{self, drop_quietly},
};

impl<F: Future, T: AsToken> Projected<'_, F, T> {
    #[inline]
    pub(super) fn poll_new(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if self.token.as_token().is_cancelled() {
            *self.stage = Stage::Refused;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A loop over runs that are ready at once would never give its worker back without it. The unit is
        // spent before the body is polled: given back afterwards, it would refund what the body has spent.
        ready!(poll_proceed(cx)).made_progress();
        match self.spec.limit() {
            Some(limit) if self.permit.is_none() => {
                *self.permit = Limit::try_acquire(limit);
                if self.permit.is_none() {
                    return self.poll_full(limit, cx);
                }
                self.spec.here().waited_for(0);
            }
            _ => {}
        }
        self.begin();
        self.poll_body(cx)
    }

    /// The function is at its limit.
    #[cold]
    fn poll_full(
        &mut self,
        limit: &'static Limit,
        cx: &mut Context<'_>,
    ) -> Poll<Settled<F::Output>> {
        if self.spec.rejects_when_full() {
            let rejected = Rejected::new(self.spec.name(), limit.size());
            return Poll::Ready(self.end_without_value(TaskError::Rejected(rejected)));
        }
        *self.aside = Aside::Permit(Box::new(Box::pin(Limit::acquire(limit))));
        *self.stage = Stage::Waiting;
        *self.since = Ticks::now();
        self.spec.here().wait_begun();
        self.poll_waiting(cx)
    }

    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if self.poll_fired(cx) {
            return Poll::Ready(self.end_cancelled());
        }
        let Aside::Permit(permit) = self.aside else {
            unreachable!("a run that waits has what it waits for");
        };
        *self.permit = Some(ready!(Pin::as_mut(permit).poll(cx)));
        *self.aside = Aside::Nothing;
        let here = self.spec.here();
        here.wait_ended();
        here.waited_for(self.since.elapsed_nanos());
        self.begin();
        self.poll_body(cx)
    }

    #[inline]
    fn begin(&mut self) {
        self.spec.here().started();
        *self.stage = Stage::Running;
        *self.since = Ticks::now();
    }

    pub(super) fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if *self.stop == Stop::No && self.poll_fired(cx) {
            if !self.spec.cooperates() {
                return Poll::Ready(self.end_cancelled());
            }
            self.ask_to_stop();
        }
        self.poll_body(cx)
    }

    /// Whether the token has fired; if not, the task is woken when it does.
    fn poll_fired(&mut self, cx: &mut Context<'_>) -> bool {
        if self.watch.is_none() {
            let token = self.token.as_token().clone();
            self.watch.set(Some(token.cancelled_owned()));
        }
        let watch = self.watch.as_mut().as_pin_mut().expect("set above");
        // The body may have spent the budget, and the token must be heard all the same.
        std::pin::pin!(unconstrained(watch)).poll(cx).is_ready()
    }

    #[inline]
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        let mut returned = None;
        let mut verdict = Verdict::Ok;
        let caught = panic::catch(|| {
            let body = self.body.as_mut().as_pin_mut().expect("a running body is there");
            if let Poll::Ready(value) = body.poll(cx) {
                let value = returned.insert(value);
                verdict = (self.verdict)(value);
                self.body.set(None);
            }
        });
        match (caught, returned) {
            (Ok(()), None) => self.poll_pending(cx),
            (Ok(()), Some(value)) => {
                let outcome = match verdict {
                    Verdict::Ok => Outcome::Ok,
                    Verdict::CarriesCancelled if self.token.as_token().is_cancelled() => {
                        Outcome::Cancelled
                    }
                    Verdict::Error | Verdict::CarriesCancelled => Outcome::Error,
                };
                self.settle(outcome);
                Poll::Ready(Settled { outcome, result: Ok(value) })
            }
            (Err(caught), value) => {
                drop_quietly(value);
                // A second panic, in the drop of a body that has panicked, is told by the hook alone.
                _ = self.drop_body();
                let panicked = self.panicked(caught);
                Poll::Ready(self.end_without_value(panicked))
            }
        }
    }

    /// The body is pending: sees to it that the token and the clock are heard.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if *self.stop == Stop::No && self.watch.is_none() && self.poll_fired(cx) {
            if !self.spec.cooperates() {
                return Poll::Ready(self.end_cancelled());
            }
            self.ask_to_stop();
        }
        self.arm_timeout();
        let Aside::Timer(timer) = self.aside else { return Poll::Pending };
        ready!(std::pin::pin!(unconstrained(timer.as_mut())).poll(cx));
        let name = self.spec.name();
        match (*self.stop, self.spec.timeout()) {
            (Stop::Within(grace), _) => {
                events::did_not_stop(name, grace.into());
                Poll::Ready(self.end_cancelled())
            }
            (_, timeout) => {
                let timeout = timeout.expect("a timer without grace is that of a timeout");
                let timed_out = TimedOut::new(name, timeout);
                Poll::Ready(self.end_without_value(TaskError::TimedOut(timed_out)))
            }
        }
    }

    fn arm_timeout(&mut self) {
        if let (Some(timeout), Aside::Nothing) = (self.spec.timeout(), &self.aside) {
            let spent = Duration::from_nanos(self.since.elapsed_nanos());
            let rest = tokio::time::sleep(timeout.saturating_sub(spent));
            *self.aside = Aside::Timer(Box::pin(rest));
        }
    }

    /// The token has fired, and the body ends by itself: within the grace, if there is one.
    #[cold]
    fn ask_to_stop(&mut self) {
        *self.stop = Stop::Asked;
        self.watch.set(None);
        let grace = Grace::of(self.spec.grace()).min(*self.longest_grace);
        // Outside a runtime there is no clock to count the grace with.
        if grace == Grace::NONE || Handle::try_current().is_err() {
            return;
        }
        self.arm_timeout();
        let end = Instant::now() + grace.into();
        match self.aside {
            Aside::Timer(timeout) if timeout.deadline() <= end => return,
            Aside::Timer(timeout) => timeout.as_mut().reset(end),
            _ => *self.aside = Aside::Timer(Box::pin(tokio::time::sleep_until(end))),
        }
        *self.stop = Stop::Within(grace);
    }
}
