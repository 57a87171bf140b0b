//! One run of a supervised function: permit, token, body, outcome.
//!
//! Invariants
//!
//! 1. Every poll looks at the token before the body. A token that had fired before the first poll never
//!    starts the body: the call wakes itself, returns `Pending` once, then ends `cancelled`.
//! 2. The body, its drop, and the drop of its output run under [`panic::catch`].
//! 3. Each run that was counted as started is counted as ended once, whichever way it ends; its permit is
//!    given back after that, and before whoever awaits it goes on.
//! 4. The token is watched only while the body is really pending, and then always.
//!
//! `tests/behaviour/` checks 1 in `cancel.rs`, 2 in `panics.rs`, 3 in `limit.rs`, 4 in `cancel.rs`.

pub(crate) mod frame;
pub(crate) mod output;
mod supervised;

pub(crate) use supervised::{Ended, Prepared};
pub use supervised::{ErrInto, Supervised, SupervisedFuture, supervise, supervise_foreign};

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    task::coop::{poll_proceed, unconstrained},
    time::{Instant, Sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{
    AsToken, Cancelled, Outcome, Panic, Rejected, TaskError, TimedOut,
    clock::Ticks,
    events,
    limit::{Limit, Permit},
    panic::{self, Caught, drop_quietly},
    spec::TaskSpec,
};
use output::Verdict;

/// How a run ended, and what it gave: its value, or what the boundary has to say.
pub(crate) struct Settled<R> {
    pub(crate) outcome: Outcome,
    pub(crate) result: Result<R, TaskError>,
}

pin_project! {
    /// The run, with its body inline.
    #[project = Projected]
    pub(crate) struct Run<F, T>
    where
        F: Future,
        T: AsToken,
    {
        spec: &'static TaskSpec,
        token: T,
        verdict: fn(&F::Output) -> Verdict,
        stage: Stage,
        stop: Stop,
        // Of the wait while it waits, of the run while it runs.
        since: Ticks,
        permit: Option<Permit>,
        longest_grace: Grace,
        aside: Aside,
        #[pin]
        watch: Option<WaitForCancellationFutureOwned>,
        #[pin]
        body: Option<F>,
    }

    impl<F, T> PinnedDrop for Run<F, T>
    where
        F: Future,
        T: AsToken,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().abandon();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// In a task of its own, which has not been polled: a run, if it is dropped now.
    Spawned,
    /// The token had fired before the first poll.
    Refused,
    /// For a permit.
    Waiting,
    Running,
    Done,
}

/// What has been asked of a running body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Nothing yet.
    No,
    /// To end by itself: its token has fired.
    Asked,
    /// The same, and the timer counts its grace.
    Within(Grace),
}

/// Milliseconds, small enough for every run to carry; one beyond 49 days is as good as none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Grace(u32);

impl Grace {
    const NONE: Self = Self(u32::MAX);

    fn of(grace: Option<Duration>) -> Self {
        let millis = grace.map(|grace| u32::try_from(grace.as_millis()));
        millis.map_or(Self::NONE, |millis| millis.map_or(Self::NONE, Self))
    }
}

impl From<Grace> for Duration {
    fn from(Grace(millis): Grace) -> Self {
        Self::from_millis(millis.into())
    }
}

/// What a pending run needs besides its token; boxed, since most runs never do.
enum Aside {
    Nothing,
    /// Boxed once more, since a run pays for the larger variant.
    Permit(Box<WaitForPermit>),
    /// The end of the timeout, or of the grace, whichever comes first.
    Timer(Pin<Box<Sleep>>),
}

type WaitForPermit = Pin<Box<dyn Future<Output = Permit> + Send>>;

impl<F: Future, T: AsToken> Run<F, T> {
    pub(crate) fn new(
        spec: &'static TaskSpec,
        token: T,
        verdict: fn(&F::Output) -> Verdict,
        body: F,
    ) -> Self {
        Self {
            spec,
            token,
            verdict,
            stage: Stage::New,
            stop: Stop::No,
            since: Ticks::NEVER,
            permit: None,
            longest_grace: Grace::NONE,
            aside: Aside::Nothing,
            watch: None,
            body: Some(body),
        }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    /// Hands over a permit that was acquired for this run, and what its scope allows as grace: it is about
    /// to be spawned.
    pub(crate) fn prepare(&mut self, permit: Option<Permit>, longest_grace: Option<Duration>) {
        self.stage = Stage::Spawned;
        self.permit = permit;
        self.longest_grace = Grace::of(longest_grace);
    }

    pub(crate) fn poll_settled(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Settled<F::Output>> {
        let mut this = self.project();
        match this.stage {
            Stage::New | Stage::Spawned => this.poll_new(cx),
            Stage::Refused => Poll::Ready(this.end_cancelled()),
            Stage::Waiting => this.poll_waiting(cx),
            Stage::Running => this.poll_running(cx),
            Stage::Done => panic!("a supervised future was polled after it had ended"),
        }
    }
}

impl<F: Future, T: AsToken> Projected<'_, F, T> {
    #[inline]
    fn poll_new(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
        if self.token.as_token().is_cancelled() {
            *self.stage = Stage::Refused;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A loop over runs that are ready at once would never give its worker back.
        // The unit is spent before the body is polled: given back later, it would take what the body has
        // spent along.
        ready!(poll_proceed(cx)).made_progress();
        match self.spec.limit() {
            Some(limit) if self.permit.is_none() => {
                *self.permit = limit.try_acquire();
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
        *self.aside = Aside::Permit(Box::new(Box::pin(limit.acquire())));
        *self.stage = Stage::Waiting;
        *self.since = Ticks::now();
        self.spec.here().wait_begun();
        self.poll_waiting(cx)
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
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

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Settled<F::Output>> {
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

    #[cold]
    fn end_cancelled(&mut self) -> Settled<F::Output> {
        let cancelled = Cancelled::new(self.spec.name(), frame::cause());
        self.end_without_value(TaskError::Cancelled(cancelled))
    }

    /// Drops the body and ends the run with what the boundary has to say.
    #[cold]
    fn end_without_value(&mut self, error: TaskError) -> Settled<F::Output> {
        let error = match self.drop_body() {
            Ok(()) => error,
            Err(caught) => self.panicked(caught),
        };
        let outcome = error.outcome();
        self.settle(outcome);
        Settled { outcome, result: Err(error) }
    }

    #[cold]
    fn panicked(&self, caught: Caught) -> TaskError {
        let panic = Panic::new(self.spec.name(), caught);
        events::panicked(&panic);
        TaskError::Panicked(panic)
    }

    fn drop_body(&mut self) -> Result<(), Caught> {
        panic::catch(|| self.body.set(None))
    }

    /// Counts the end, then gives everything back.
    fn settle(&mut self, outcome: Outcome) {
        let here = self.spec.here();
        match *self.stage {
            Stage::Running => here.ran_for(self.since.elapsed_nanos()),
            stage => {
                if stage == Stage::Waiting {
                    here.wait_ended();
                }
                here.started();
            }
        }
        here.ended(outcome);
        *self.stage = Stage::Done;
        // Most runs have none of these: a look costs less than the drop of nothing.
        if self.permit.is_some() {
            *self.permit = None;
        }
        if !matches!(self.aside, Aside::Nothing) {
            *self.aside = Aside::Nothing;
        }
        if self.watch.is_some() {
            self.watch.set(None);
        }
    }

    /// The owner drops the run.
    fn abandon(&mut self) {
        if !matches!(*self.stage, Stage::Spawned | Stage::Waiting | Stage::Running) {
            // A body that never began is no run, but what it was given may panic when it is dropped.
            if self.body.is_some() {
                if let Err(caught) = self.drop_body() {
                    _ = self.panicked(caught);
                }
            }
            return;
        }
        let outcome = match self.drop_body() {
            Ok(()) => Outcome::Dropped,
            Err(caught) => self.panicked(caught).outcome(),
        };
        self.settle(outcome);
    }
}
