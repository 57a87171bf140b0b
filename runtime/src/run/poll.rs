//! A run under way: what each poll looks at, in which order.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::coop::unconstrained,
    time::{Instant, Sleep},
};

use super::first::poll_body;
use super::{
    Aside, AsideProjected, Grace, More, MoreProjected, Overdue, Projected, Settled, Stage, Stop,
    alarm::Alarm,
    frame::{self, Frame},
    itself,
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
    pub(super) fn refuse<R>(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        *self.stage = Stage::Refused;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn poll_for_permit(
        &mut self,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        let limit = self.spec.limit().expect("only a run of a function with a limit is asked to");
        *self.permit = Limit::try_acquire(limit);
        if self.permit.is_none() {
            return self.poll_full(limit, cx, alarm);
        }
        self.spec.here().waited_for(0);
        self.begin(cx, alarm)
    }

    /// The function is at its limit.
    #[cold]
    fn poll_full(
        &mut self,
        limit: &'static Limit,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        if self.spec.rejects_when_full() {
            let rejected = Rejected::full(self.spec.name(), limit.size());
            return Poll::Ready(self.end_without_value(TaskError::Rejected(rejected)));
        }
        if let Some(rejected) = itself::for_a_permit(self.spec) {
            return Poll::Ready(self.end_without_value(TaskError::Rejected(rejected)));
        }
        let wait = Box::pin(Limit::acquire(limit));
        *self.more().aside = Some(Box::pin(Aside::Permit { wait }));
        *self.stage = Stage::Waiting;
        *self.since = Ticks::now();
        self.spec.here().wait_begun();
        frame::waits(true);
        self.poll_waiting(cx, alarm)
    }

    pub(super) fn poll_waiting(
        &mut self,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        if self.poll_fired(cx, alarm) {
            return Poll::Ready(self.end_cancelled());
        }
        let Some(AsideProjected::Permit { wait }) = self.aside_projected() else {
            unreachable!("a run that waits has what it waits for");
        };
        *self.permit = Some(ready!(wait.as_mut().poll(cx)));
        *self.more().aside = None;
        let here = self.spec.here();
        here.wait_ended();
        here.waited_for(self.since.elapsed_nanos());
        frame::waits(false);
        self.begin(cx, alarm)
    }

    fn begin(&mut self, cx: &mut Context<'_>, alarm: Option<&Alarm>) -> Poll<Settled<F::Output>> {
        self.spec.here().started();
        *self.stage = Stage::Running;
        *self.since = Ticks::now();
        self.poll_body(cx, alarm)
    }

    pub(super) fn poll_running(
        &mut self,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        if self.stop() == Stop::No && self.poll_fired(cx, alarm) {
            if let Some(ended) = self.heed_token() {
                return Poll::Ready(ended);
            }
        }
        self.poll_body(cx, alarm)
    }

    /// Whether the token has fired; if not, the task is woken when it does.
    fn poll_fired(&mut self, cx: &mut Context<'_>, alarm: Option<&Alarm>) -> bool {
        if let Some(alarm) = alarm.filter(|alarm| alarm.is_for(self.token())) {
            return alarm.has_rung();
        }
        if self.more().watch.is_none() {
            let token = self.token().clone();
            self.more().watch.set(Some(token.cancelled_owned()));
        }
        let watch = self.more().watch.as_pin_mut().expect("set above");
        // The body may have spent the budget, and the token must be heard all the same.
        pin!(unconstrained(watch)).poll(cx).is_ready()
    }

    /// Whether someone wakes the task when the token fires.
    #[inline]
    fn is_watched(&self, alarm: Option<&Alarm>) -> bool {
        alarm.is_some_and(|alarm| alarm.is_for(self.token()))
            || self.more.as_ref().is_some_and(|more| more.watch.is_some())
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        let holds_permit = self.permit.is_some();
        let mut frame = self.more_if_any().and_then(|more| more.frame.take());
        let body = self.body.as_mut();
        let (judge, mut value) = (*self.verdict, None);
        let polled = poll_body(self.spec, holds_permit, &mut frame, body, judge, &mut value, cx);
        self.keep_frame(frame);
        match (polled, value) {
            (Ok(Some(verdict)), Some(value)) => {
                let outcome = match verdict {
                    Verdict::Ok => Outcome::Ok,
                    Verdict::Error => Outcome::Error,
                    Verdict::CarriesCancelled => self.whose_cancellation(),
                };
                let nanos = self.settle(outcome);
                Poll::Ready(Settled { outcome, overdue: false, nanos, result: Ok(value) })
            }
            (Ok(_), _) => self.poll_pending(cx, alarm),
            (Err(caught), value) => Poll::Ready(self.end_panicked(caught, value)),
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
    pub(super) fn poll_pending(
        &mut self,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        if self.stop() == Stop::No && !self.is_watched(alarm) && self.poll_fired(cx, alarm) {
            if let Some(ended) = self.heed_token() {
                return Poll::Ready(ended);
            }
        }
        if matches!(self.stop(), Stop::Overdue(_)) {
            return self.poll_overdue(cx);
        }
        self.arm_timeout();
        let Some(timer) = self.timer() else { return Poll::Pending };
        ready!(pin!(unconstrained(timer)).poll(cx));
        let why = match self.stop() {
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
        if let Some(mut more) = self.more_if_any() {
            more.watch.set(None);
        }
        if self.spec.cooperates() {
            self.ask_to_stop();
            return None;
        }
        self.end_unless_shielded(Overdue::Cancelled)
    }

    fn end_unless_shielded(&mut self, why: Overdue) -> Option<Settled<F::Output>> {
        let holds = |frame: &Arc<Frame>| frame.protection.holds_the_end();
        let held = |more: MoreProjected<'_>| more.frame.as_ref().is_some_and(holds);
        if self.more_if_any().is_some_and(held) {
            *self.more().stop = Stop::Overdue(why);
            return None;
        }
        Some(self.end_overdue(why))
    }

    /// Waits for the shields that hold the body.
    #[cold]
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        let Stop::Overdue(why) = self.stop() else {
            unreachable!("only an overdue run is asked to");
        };
        loop {
            let more = self.more();
            let until =
                more.frame.as_ref().and_then(|frame| frame.protection.until_or_wake(cx.waker()));
            let Some(until) = until else { return Poll::Ready(self.end_overdue(why)) };
            let mut timer = self.set_timer(until);
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
        }
    }

    fn arm_timeout(&mut self) {
        let Some(timeout) = self.spec.timeout() else { return };
        if self.more().aside.is_none() {
            let spent = Duration::from_nanos(self.since.elapsed_nanos());
            let sleep = tokio::time::sleep(timeout.saturating_sub(spent));
            *self.more().aside = Some(Box::pin(Aside::Timer { sleep }));
        }
    }

    /// The body ends by itself: within the grace, if there is one.
    fn ask_to_stop(&mut self) {
        let more = self.more();
        *more.stop = Stop::Asked;
        let longest_grace = *more.longest_grace;
        let grace = Grace::of(self.spec.grace()).min(longest_grace);
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
        *self.more().stop = Stop::Within(grace);
    }

    fn set_timer(&mut self, deadline: Instant) -> Pin<&mut Sleep> {
        match self.timer() {
            Some(timer) if timer.deadline() == deadline => {}
            Some(timer) => timer.reset(deadline),
            None => {
                let sleep = tokio::time::sleep_until(deadline);
                *self.more().aside = Some(Box::pin(Aside::Timer { sleep }));
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
        let more = self.more_if_any()?;
        more.aside.as_mut().map(|aside| aside.as_mut().project())
    }

    #[inline]
    fn more_if_any(&mut self) -> Option<MoreProjected<'_>> {
        self.more.as_mut().map(|more| more.as_mut().project())
    }

    fn more(&mut self) -> MoreProjected<'_> {
        self.more.get_or_insert_with(|| Box::pin(More::default())).as_mut().project()
    }

    fn stop(&self) -> Stop {
        self.more.as_ref().map_or(Stop::No, |more| more.stop)
    }

    /// Someone may have been given the frame of the run while its body was polled.
    #[inline]
    pub(super) fn keep_frame(&mut self, frame: Option<Arc<Frame>>) {
        if frame.is_some() {
            *self.more().frame = frame;
        }
    }
}
