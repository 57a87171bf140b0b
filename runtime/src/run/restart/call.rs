//! One call of several runs, with a pause before each restart and, if it is periodic, before each tick.
//!
//! Invariants
//!
//! 1. The outcome of the last run and the call's own token decide whether another follows, and `restart_if` after an
//!    error; the error type is not considered.
//! 2. While the call waits for its next run, it holds no permit, no body and no result. If its token fires then, the
//!    call finishes, and starts and counts nothing. It returns `Ok(())` only if its last run succeeded.
//! 3. Parameters are cloned and dropped under [`panic::catch`]: a clone that panics is a run that panicked.
//! 4. A permit that was acquired for the call belongs to its first run.
//! 5. A restart is logged once its wait has started, which needs a timer; otherwise the log would announce a run that
//!    never happens. The event has the error of the run before it, which nothing else reports.
//!
//! `tests/spec/behaviour/` checks 1 and 2 in `restart.rs` and `every.rs`, 3 in `restart_panics.rs`, 4 in
//! `restart_scopes.rs`;
//! `tests/events/main.rs` checks 5.

use std::{
    cell::Cell,
    future::Future,
    mem,
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    budget,
    context::cancel_waker::CancelWaker,
    context::{self, reason::CancelEpoch},
    run::Run,
    run::body::{Failed, Failure, OnError, put_error_note},
    run::future::Prepared,
    run::machine::{PollContext, RunEnded, StepFlow},
    run::output::{ErrorNote, Judge, panicked},
    run::restart::args::BodyFactory,
    run::restart::backoff::Restarts,
    run::restart::filter::RestartFilter,
    run::restart::ticks::Ticks,
    run::watch::{self, Watch},
};
use crate::{
    error::{Cancelled, Origin, TaskError},
    function::TaskSpec,
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly},
    telemetry::events,
    token::{AsToken, ReplacedToken, replace_with_child},
    tuning::Tuning,
};

pin_project! {
    /// The call, with its current run inline.
    #[project = Projected]
    pub(crate) struct Call<M, F, T, I = ()>
    where
        F: Future,
        T: AsToken,
    {
        spec: &'static TaskSpec,
        token: T,
        // Whether the token is a child made for this call.
        owns_token: bool,
        verdict: Judge<F::Output>,
        // Set until the call has finished.
        factory: Option<M>,
        // Set until the first run is made.
        prepared: Option<Prepared>,
        longest_grace: Option<Duration>,
        // The options of this call, which apply to each run.
        tuning: Option<Arc<Tuning>>,
        // When the body of the current run was first polled.
        started: Option<Instant>,
        restarts: Restarts,
        restart_if: I,
        // Boxed: most calls are not periodic, and are moved.
        ticks: Option<Box<Ticks<F::Output>>>,
        // Boxed: most calls finish with their first run.
        pause: Option<Pin<Box<Sleep>>>,
        // The run that the pause comes before.
        next: NextRun,
        #[pin]
        watch: Watch,
        #[pin]
        run: Option<Run<F, T>>,
    }

    impl<M, F, T, I> PinnedDrop for Call<M, F, T, I>
    where
        F: Future,
        T: AsToken,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().on_drop();
        }
    }
}

/// Why another run follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NextRun {
    Restart,
    /// The last run succeeded.
    Tick,
}

impl<M, F: Future, T: AsToken, I> Call<M, F, T, I> {
    pub(crate) fn new(
        spec: &'static TaskSpec,
        token: T,
        verdict: Judge<F::Output>,
        restart_if: I,
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
            tuning: None,
            started: None,
            restarts: Restarts::default(),
            restart_if,
            ticks: None,
            pause: None,
            next: NextRun::Restart,
            watch: None,
            run: None,
        }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    /// Makes the call periodic, before its first poll.
    pub(crate) fn set_ticks(&mut self, ticks: Ticks<F::Output>) {
        self.ticks = Some(Box::new(ticks));
    }

    /// Prepares a call that is about to be spawned.
    pub(crate) fn prepare(&mut self, prepared: Prepared) {
        self.longest_grace = prepared.longest_grace;
        self.prepared = Some(prepared);
    }

    pub(crate) fn tune(&mut self, tuning: Tuning) {
        Arc::make_mut(self.tuning.get_or_insert_default()).merge(tuning);
    }

    pub(crate) fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.tuning.as_ref()
    }

    /// Gives a spawned call a child of its token before its first poll, if its body takes the token.
    pub(crate) fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        let this = self.project();
        if !T::IS_OWNED || !this.spec.takes_token() {
            return None;
        }
        *this.owns_token = true;
        replace_with_child(this.token)
    }

    pub(crate) fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.token.renew(from, to);
    }
}

impl<M, F, T, I> Call<M, F, T, I>
where
    M: BodyFactory<F>,
    F: Future,
    T: AsToken,
    I: RestartFilter<F::Output>,
{
    /// Polls the call. `value` or `failed` holds the result of the last run once the call has finished.
    ///
    /// `poll_context` has no time: the parameters are cloned before a run.
    #[inline(always)]
    pub(crate) fn poll_completion(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> Poll<RunEnded> {
        loop {
            if let ControlFlow::Break(polled) =
                self.as_mut().before_run(cx, poll_context, value, failed)
            {
                return polled;
            }
            let run = self.as_mut().project().run.as_pin_mut().expect("a run was made");
            let polled = run.poll_completion(cx, poll_context, value, OnError::Keep(failed));
            let after = self.as_mut().after_run(polled, poll_context, value, failed);
            if let ControlFlow::Break(polled) = after {
                return polled;
            }
        }
    }

    // Not inlined, like `after_run`: neither is on the stack while a body is polled.
    #[inline(never)]
    fn before_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> StepFlow {
        self.project().before_run(cx, poll_context, value, failed)
    }

    #[inline(never)]
    fn after_run(
        self: Pin<&mut Self>,
        polled: Poll<RunEnded>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> StepFlow {
        self.project().after_run(polled, poll_context, value, failed)
    }
}

impl<M, F, T, I> Projected<'_, M, F, T, I>
where
    M: BodyFactory<F>,
    F: Future,
    T: AsToken,
    I: RestartFilter<F::Output>,
{
    /// Waits for the next run, and makes it.
    #[inline]
    fn before_run(
        &mut self,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> StepFlow {
        if let Some(ticks) = self.ticks {
            ticks.start();
        }
        loop {
            if self.pause.is_some() {
                if self.poll_fired(cx, poll_context) {
                    let ended = self.finish_in_pause(value, failed);
                    return StepFlow::Break(Poll::Ready(ended));
                }
                if self.poll_pause(cx).is_pending() {
                    return StepFlow::Break(Poll::Pending);
                }
            }
            if self.run.is_some() {
                break;
            }
            // A run spends what earlier calls owe when it starts. If the clones panic, there is none.
            if budget::spend_owed(cx).is_pending() {
                return StepFlow::Break(Poll::Pending);
            }
            if let Err(caught) = self.make() {
                // A failure like any other: a run may follow.
                let ended = self.finish_unmade(caught, failed);
                self.after_run(Poll::Ready(ended), poll_context, value, failed)?;
            }
        }
        // Read before the poll: a body that starts in this poll may end in it.
        if self.started.is_none() {
            *self.started = Some(Instant::now());
        }
        StepFlow::Continue(())
    }

    /// Finishes the call, unless another run follows.
    #[inline]
    fn after_run(
        &mut self,
        polled: Poll<RunEnded>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> StepFlow {
        let Poll::Ready(completion) = polled else {
            if !self.run.as_ref().as_pin_ref().is_some_and(|run| run.has_started()) {
                *self.started = None;
            }
            return StepFlow::Break(Poll::Pending);
        };
        self.run.set(None);
        if self.is_tick_that_never_ran(&completion) {
            drop_quietly(failed.take());
            return StepFlow::Break(Poll::Ready(self.finish_in_pause(value, failed)));
        }
        let Some((next, wait)) = self.next_run(completion.outcome, value, poll_context) else {
            self.finish();
            let outcome = completion.outcome;
            put_error_note(poll_context.note, self.spec, outcome, value, failed, *self.verdict);
            return StepFlow::Break(Poll::Ready(completion));
        };
        *self.next = next;
        let paused = match next {
            NextRun::Restart => self.restart_after(wait, completion.outcome, value, failed),
            NextRun::Tick => {
                drop_quietly(mem::replace(value, Poll::Pending));
                self.pause_for(wait)
            }
        };
        if let Err(caught) = paused {
            return StepFlow::Break(Poll::Ready(self.finish_without_timer(caught, failed)));
        }
        if next == NextRun::Tick {
            context::set_waiting_for_tick();
        }
        StepFlow::Continue(())
    }

    /// Makes the next run of fresh clones.
    fn make(&mut self) -> Result<(), Caught> {
        let factory =
            self.factory.as_ref().expect("a supervised future was polled after completion");
        // The first count installs the hook, which records the location of a panic in `clone`.
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
        if let Some(tuning) = self.tuning {
            run.set_tuning(tuning.clone());
        }
        self.run.set(Some(run));
        Ok(())
    }

    /// Finishes a run whose body was not made: a clone has panicked.
    #[cold]
    fn finish_unmade(&mut self, caught: Caught, failed: &mut Failure) -> RunEnded {
        let panicked = panicked(self.origin(), caught);
        self.record_unmade(Outcome::Panicked);
        fail(panicked, failed)
    }

    /// Returns why another run follows and the wait before it, if one follows.
    fn next_run(
        &mut self,
        outcome: Outcome,
        value: &Poll<F::Output>,
        poll_context: &PollContext<'_>,
    ) -> Option<(NextRun, Duration)> {
        let started = self.started.take();
        let is_tick = self.ticks.is_some() && outcome == Outcome::Ok;
        let follows =
            is_tick || self.spec.restart().is_some_and(|restart| restart.follows(outcome));
        if !follows
            || self.token.as_token().is_cancelled()
            || poll_context.is_cancelled
            || poll_context.cancel_waker.is_some_and(CancelWaker::is_cancelled)
        {
            return None;
        }
        if is_tick {
            self.restarts.recovered();
            return Some((NextRun::Tick, self.until_tick(Instant::now())));
        }
        if !self.accepts(outcome, value) {
            return None;
        }
        let restart = self.spec.restart()?;
        let now = Instant::now();
        let lasted = started.map_or(Duration::ZERO, |started| now.duration_since(started));
        let Some(backoff) = self.restarts.after(lasted, now, restart) else {
            events::restarts_exhausted(&self.origin(), outcome, restart.most(), restart.window());
            return None;
        };
        Some((NextRun::Restart, backoff.max(self.until_tick(now))))
    }

    /// Returns the time to the next tick; zero if the call is not periodic.
    fn until_tick(&self, now: Instant) -> Duration {
        self.ticks.as_ref().map_or(Duration::ZERO, |ticks| ticks.next_after(now))
    }

    /// Whether the token fired after a pause and before the body of the next run was polled. No work was cut.
    fn is_tick_that_never_ran(&self, completion: &RunEnded) -> bool {
        let RunEnded { outcome, nanos } = *completion;
        self.ticks.is_some()
            && *self.next == NextRun::Tick
            && (outcome, nanos) == (Outcome::Cancelled, 0)
    }

    /// Whether `restart_if` allows a restart after the error that the body returned. If it panics, this is logged, and
    /// the call finishes with that error.
    fn accepts(&self, outcome: Outcome, value: &Poll<F::Output>) -> bool {
        let (Outcome::Error, Poll::Ready(value)) = (outcome, value) else { return true };
        panic::catch(|| self.restart_if.accepts(value)).unwrap_or_else(|caught| {
            _ = panicked(*self.spec, caught);
            false
        })
    }

    /// Starts the wait before the next run, then logs the restart with the error of the last run.
    #[cold]
    fn restart_after(
        &mut self,
        wait: Duration,
        outcome: Outcome,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> Result<(), Caught> {
        let note = Cell::new(None);
        put_error_note(Some(&note), self.spec, outcome, value, failed, *self.verdict);
        drop_quietly(mem::replace(value, Poll::Pending));
        drop_quietly(failed.take());
        let (origin, error) = (self.origin(), note.take().and_then(ErrorNote::into_text));
        if let Err(caught) = self.pause_for(wait) {
            events::cannot_restart(&origin, outcome, error.as_deref());
            return Err(caught);
        }
        context::set_restarting(error.as_deref());
        events::restarts(&origin, outcome, error.as_deref(), self.restarts.total(), wait);
        Ok(())
    }
}

impl<M, F: Future, T: AsToken, I> Projected<'_, M, F, T, I> {
    /// The function and the label of this call.
    fn origin(&self) -> Origin {
        let label = self.tuning.as_ref().and_then(|tuning| tuning.label.as_ref());
        Origin::of_call(self.spec, label)
    }

    /// Whether the token has fired; if not, the task is woken when it does.
    fn poll_fired(&mut self, cx: &mut Context<'_>, poll_context: &PollContext<'_>) -> bool {
        let token = self.token.as_token();
        poll_context.is_cancelled
            || watch::fired(token, poll_context.cancel_waker)
                .unwrap_or_else(|| watch::poll(self.watch.as_mut(), token, cx))
    }

    /// Starts the timer of a pause. Without a timer in its runtime, tokio panics.
    fn pause_for(&mut self, wait: Duration) -> Result<(), Caught> {
        *self.pause = Some(panic::catch(|| Box::pin(tokio::time::sleep(wait)))?);
        Ok(())
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = self.pause {
            ready!(std::pin::pin!(unconstrained(pause.as_mut())).poll(cx));
        }
        *self.pause = None;
        self.watch.set(None);
        context::set_restarted();
        if *self.next == NextRun::Restart {
            self.spec.local_metrics().record_restart();
        }
        Poll::Ready(())
    }

    /// Finishes a call whose token has fired in a pause: with `Ok(())` if its last run succeeded, otherwise as cancelled,
    /// since the restart of a failed run was cut.
    #[cold]
    fn finish_in_pause(&mut self, value: &mut Poll<F::Output>, failed: &mut Failure) -> RunEnded {
        self.finish();
        if let (NextRun::Tick, Some(ticks)) = (*self.next, &self.ticks) {
            *value = Poll::Ready(ticks.done());
            return RunEnded { outcome: Outcome::Ok, nanos: 0 };
        }
        let cancelled = Cancelled::new(self.origin(), context::cause(CancelEpoch::NEVER));
        fail(TaskError::Cancelled(cancelled), failed)
    }

    /// Finishes a call that cannot restart. Its last run was already counted and logged.
    #[cold]
    fn finish_without_timer(&mut self, caught: Caught, failed: &mut Failure) -> RunEnded {
        let panicked = panicked(self.origin(), caught);
        self.finish();
        fail(panicked, failed)
    }

    /// Drops what the call holds. If the drop of a parameter panics, this is logged, and changes no run.
    fn finish(&mut self) {
        *self.pause = None;
        self.watch.set(None);
        if let Err(caught) = self.drop_factory() {
            _ = panicked(self.origin(), caught);
        }
    }

    fn drop_factory(&mut self) -> Result<(), Caught> {
        let factory = self.factory.take();
        panic::catch(|| drop(factory))
    }

    /// Counts a run whose body was not made, then releases the permit that was acquired for it.
    fn record_unmade(&mut self, outcome: Outcome) {
        let counters = self.spec.local_metrics();
        counters.record_start();
        counters.record_end(outcome);
        budget::owe_unit();
        *self.prepared = None;
    }

    /// Handles the drop of the call by its owner.
    fn on_drop(&mut self) {
        // The run counts itself.
        self.run.set(None);
        let dropped = match self.drop_factory() {
            Ok(()) => Outcome::Dropped,
            Err(caught) => panicked(self.origin(), caught).outcome(),
        };
        if self.prepared.is_some() {
            self.record_unmade(dropped);
        }
    }
}

/// Finishes a call with an error that is not that of a run.
fn fail(error: TaskError, failed: &mut Failure) -> RunEnded {
    let outcome = error.outcome();
    *failed = Some(Box::new(Failed { error, overdue: false }));
    RunEnded { outcome, nanos: 0 }
}
