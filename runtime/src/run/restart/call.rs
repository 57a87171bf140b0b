//! One call of several runs: each made anew, with a wait before the next.
//!
//! Invariants
//!
//! 1. The next run is decided by the outcome of the last one and by the own token, never by an error's kind.
//! 2. While the call waits for its next run, it holds no permit, no body and no result; a token that fires
//!    then ends it, and nothing is started or counted.
//! 3. Parameters are cloned and dropped under [`panic::catch`]: a clone that panics is a run that panicked.
//! 4. A permit that was acquired for the call is its first run's.
//! 5. A restart is logged once its wait has started, which needs a timer; otherwise the log would announce a run that
//!    never happens. The event has the error of the run before it, which nothing else reports.
//!
//! `tests/behaviour/` checks 1 and 2 in `restart.rs`, 3 in `restart_panics.rs`, 4 in `restart_scopes.rs`;
//! `tests/events/main.rs` checks 5.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    context,
    context::cancel_waker::CancelWaker,
    context::reason::CancelEpoch,
    run::future::Prepared,
    run::output::{Judge, put_text},
    run::restart::args::BodyFactory,
    run::restart::backoff::Restarts,
    run::{PollContext, Run, RunResult, is_failure},
};
use crate::{
    error::Panic,
    error::{Cancelled, TaskError},
    function::TaskSpec,
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly},
    telemetry::events,
    token::AsToken,
};

pin_project! {
    /// The call, with its current run inline.
    #[project = Projected]
    pub(crate) struct Call<M, F, T>
    where
        F: Future,
        T: AsToken,
    {
        spec: &'static TaskSpec,
        token: T,
        // Whether the token is a child that was made for this call.
        owns_token: bool,
        verdict: Judge<F::Output>,
        // Until the call has ended.
        factory: Option<M>,
        // Until the first run has been made.
        prepared: Option<Prepared>,
        longest_grace: Option<Duration>,
        // When the body of the current run was polled first.
        started: Option<Instant>,
        restarts: Restarts,
        // Boxed, since most calls end with their first run.
        backoff: Option<Pin<Box<Sleep>>>,
        #[pin]
        watch: Option<WaitForCancellationFutureOwned>,
        #[pin]
        run: Option<Run<F, T>>,
    }

    impl<M, F, T> PinnedDrop for Call<M, F, T>
    where
        F: Future,
        T: AsToken,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().on_drop();
        }
    }
}

impl<M, F: Future, T: AsToken> Call<M, F, T> {
    pub(crate) fn new(
        spec: &'static TaskSpec,
        token: T,
        verdict: Judge<F::Output>,
        factory: M,
    ) -> Self {
        Self {
            spec,
            token,
            owns_token: false,
            verdict,
            factory: Some(factory),
            prepared: None,
            longest_grace: None,
            started: None,
            restarts: Restarts::default(),
            backoff: None,
            watch: None,
            run: None,
        }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    /// Hands over what was acquired for the call, which is about to be spawned.
    pub(crate) fn prepare(&mut self, prepared: Prepared) {
        self.longest_grace = prepared.longest_grace;
        self.prepared = Some(prepared);
    }

    pub(crate) fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.token.renew(from, to);
    }
}

impl<M: BodyFactory<F>, F: Future, T: AsToken> Call<M, F, T> {
    pub(crate) fn poll_result(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        PollContext { cancel_waker, text, .. }: PollContext<'_>,
    ) -> Poll<RunResult<F::Output>> {
        let mut this = self.project();
        if T::IS_OWNED && cancel_waker.is_some() && !*this.owns_token && this.spec.takes_token() {
            *this.token = this.token.child();
            *this.owns_token = true;
        }
        // The clock is read anew: parameters are cloned before a run.
        let poll_context = PollContext { cancel_waker, now: None, text: None };
        loop {
            if this.backoff.is_some() {
                if this.poll_fired(cx, cancel_waker) {
                    return Poll::Ready(this.finish_cancelled());
                }
                ready!(this.poll_backoff(cx));
            }
            let run_result = ready!(this.poll_run(cx, poll_context));
            let Some(wait) = this.wait_after(run_result.outcome, cancel_waker) else {
                this.finish();
                if let (Some(text), true) = (text, is_failure(run_result.outcome)) {
                    put_text(text, run_result.result.as_ref(), *this.verdict);
                }
                return Poll::Ready(run_result);
            };
            if let Err(caught) = this.restart_after(wait, run_result) {
                return Poll::Ready(this.finish_without_timer(caught));
            }
            context::set_waiting(true);
        }
    }
}

impl<M: BodyFactory<F>, F: Future, T: AsToken> Projected<'_, M, F, T> {
    fn poll_run(
        &mut self,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<RunResult<F::Output>> {
        if self.run.is_none() {
            if let Err(caught) = self.make() {
                return Poll::Ready(self.finish_unmade(caught));
            }
        }
        // Read before the poll: a body that begins in this poll may end in it.
        let now = self.started.is_none().then(Instant::now);
        let mut run = self.run.as_mut().as_pin_mut().expect("a run was made");
        let polled = run.as_mut().poll_result(cx, poll_context);
        if polled.is_ready() || run.has_started() {
            *self.started = self.started.or(now);
        }
        let run_result = ready!(polled);
        self.run.set(None);
        Poll::Ready(run_result)
    }

    /// Makes the next run of fresh clones.
    fn make(&mut self) -> Result<(), Caught> {
        let factory =
            self.factory.as_ref().expect("a supervised future was polled after it had ended");
        // The hook that knows where a clone panics comes with the first count.
        _ = self.spec.local_metrics();
        let body = panic::catch(|| factory.make())?;
        let mut run = Run::new(self.spec, self.token.clone(), *self.verdict, body);
        let prepared = self.prepared.take();
        if prepared.is_some() || self.longest_grace.is_some() {
            run.prepare(prepared.and_then(|prepared| prepared.permit), *self.longest_grace);
        }
        if *self.owns_token {
            run.set_owns_token();
        }
        self.run.set(Some(run));
        Ok(())
    }

    /// A clone has panicked: the run ends before its body is there.
    #[cold]
    fn finish_unmade(&mut self, caught: Caught) -> RunResult<F::Output> {
        let panicked = self.panicked(caught);
        self.record_unmade(Outcome::Panicked);
        let outcome = Outcome::Panicked;
        RunResult { outcome, overdue: false, nanos: 0, result: Err(panicked) }
    }

    /// The wait before the next run, if one follows.
    fn wait_after(
        &mut self,
        outcome: Outcome,
        cancel_waker: Option<&CancelWaker>,
    ) -> Option<Duration> {
        let restart = self.spec.restart().expect("a function that restarts says how");
        let started = self.started.take();
        if !restart.follows(outcome)
            || self.token.as_token().is_cancelled()
            || cancel_waker.is_some_and(CancelWaker::is_cancelled)
        {
            return None;
        }
        let now = Instant::now();
        let lasted = started.map_or(Duration::ZERO, |started| now.duration_since(started));
        let wait = self.restarts.after(lasted, now, restart);
        if wait.is_none() {
            events::restarts_exhausted(self.spec.name(), outcome, restart.most(), restart.window());
        }
        wait
    }

    /// Starts the wait before the next run, then logs the restart with the error that ends here.
    #[cold]
    fn restart_after(&mut self, wait: Duration, last: RunResult<F::Output>) -> Result<(), Caught> {
        let RunResult { outcome, result, .. } = last;
        let error = Cell::new(None);
        // A panic was logged when it was caught.
        if outcome != Outcome::Ok && outcome != Outcome::Panicked {
            put_text(&error, result.as_ref(), *self.verdict);
        }
        drop_quietly(result);
        let (name, error) = (self.spec.name(), error.take());
        // Without a timer in its runtime, tokio panics.
        match panic::catch(|| Box::pin(tokio::time::sleep(wait))) {
            Ok(backoff) => *self.backoff = Some(backoff),
            Err(caught) => {
                events::cannot_restart(name, outcome, error.as_deref());
                return Err(caught);
            }
        }
        events::restarts(name, outcome, error.as_deref(), self.restarts.total(), wait);
        Ok(())
    }
}

impl<M, F: Future, T: AsToken> Projected<'_, M, F, T> {
    /// Whether the token has fired; if not, the task is woken when it does.
    fn poll_fired(&mut self, cx: &mut Context<'_>, cancel_waker: Option<&CancelWaker>) -> bool {
        let token = self.token.as_token();
        if let Some(cancel_waker) = cancel_waker {
            if cancel_waker.is_for(token) {
                return token.is_cancelled();
            }
            if cancel_waker.fired() {
                return true;
            }
        }
        if self.watch.is_none() {
            let token = self.token.as_token().clone();
            self.watch.set(Some(token.cancelled_owned()));
        }
        let watch = self.watch.as_mut().as_pin_mut().expect("set above");
        std::pin::pin!(unconstrained(watch)).poll(cx).is_ready()
    }

    fn poll_backoff(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(backoff) = self.backoff {
            ready!(std::pin::pin!(unconstrained(backoff.as_mut())).poll(cx));
        }
        *self.backoff = None;
        self.watch.set(None);
        context::set_waiting(false);
        self.spec.local_metrics().record_restart();
        Poll::Ready(())
    }

    #[cold]
    fn finish_cancelled(&mut self) -> RunResult<F::Output> {
        self.finish();
        let cancelled = Cancelled::new(*self.spec, context::cause(CancelEpoch::NEVER));
        let cancelled = TaskError::Cancelled(cancelled);
        let outcome = Outcome::Cancelled;
        RunResult { outcome, overdue: false, nanos: 0, result: Err(cancelled) }
    }

    /// No run follows, though one should: the last one was counted and logged.
    #[cold]
    fn finish_without_timer<R>(&mut self, caught: Caught) -> RunResult<R> {
        let panicked = self.panicked(caught);
        self.finish();
        let outcome = Outcome::Panicked;
        RunResult { outcome, overdue: false, nanos: 0, result: Err(panicked) }
    }

    /// Gives everything back. What was kept may panic when it is dropped, and is no part of any run.
    fn finish(&mut self) {
        *self.backoff = None;
        self.watch.set(None);
        if let Err(caught) = self.drop_factory() {
            _ = self.panicked(caught);
        }
    }

    fn drop_factory(&mut self) -> Result<(), Caught> {
        let factory = self.factory.take();
        panic::catch(|| drop(factory))
    }

    #[cold]
    fn panicked(&self, caught: Caught) -> TaskError {
        let panic = Panic::new(*self.spec, caught);
        events::panicked(&panic);
        TaskError::Panicked(panic)
    }

    /// Counts a run that ended before there was a body, then gives back what was acquired for it.
    fn record_unmade(&mut self, outcome: Outcome) {
        let counters = self.spec.local_metrics();
        counters.record_start();
        counters.record_end(outcome);
        *self.prepared = None;
    }

    /// The owner drops the call.
    fn on_drop(&mut self) {
        // The run counts itself.
        self.run.set(None);
        let dropped = match self.drop_factory() {
            Ok(()) => Outcome::Dropped,
            Err(caught) => self.panicked(caught).outcome(),
        };
        if self.prepared.is_some() {
            self.record_unmade(dropped);
        }
    }
}
