//! The state machine of a run, the same code for all functions: a poll, or the drop by its owner.
//!
//! A poll goes `enter` (the token, the permit, the start) → the body → `exit` (pending, or finished). The caller polls
//! the body between the two halves, so the machine has no frame on the stack while a body runs, and a function may call
//! itself. Bodies are polled at one place, after any kind of wait.
//!
//! Invariants
//!
//! 1. Every poll checks the token before the body. If the token fired before the first poll, the body never starts: the
//!    call wakes itself, returns `Pending` once, then finishes as `cancelled`. Otherwise a loop over calls would be
//!    cancelled without ever yielding.
//! 2. The poll of the body, its drop, and the drop of its output run under the boundary for panics. Otherwise a panic
//!    would leave the run on the stack of runs, and its permit acquired.
//! 3. A run that was counted as started is counted as finished once, however it finishes. Its counters come first, then
//!    [`Core::release`] releases its permit, then its owner gets the error: that conversion is user code.
//! 4. The token is watched only while the run is pending, for a permit or in its body, and then until it fires: by the
//!    run itself, or by the cancel waker of its scope. Otherwise a pending run would miss its cancellation.
//! 5. A run whose body is to be dropped while a shield is pending is overdue: it finishes with its last shield, or
//!    when its body returns.
//!
//! `tests/spec/behaviour/` checks 1 and 4 in `cancel.rs`, 2 in `panics.rs`, 3 in `limit.rs`, 5 in `shield.rs`;
//! `tests/spec/composition/depth.rs` checks the stack of a function that calls itself.

use std::{
    any::Any,
    cell::Cell,
    future::Future,
    ops::ControlFlow,
    panic::UnwindSafe,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{runtime::Handle, task::coop::unconstrained, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    budget,
    clock::Ticks,
    context::{
        self, cancel_waker::CancelWaker, deadlock, lines, lines::Mark, reason::CancelEpoch,
        shields::RunShields, stack::Pushed,
    },
    error::{Cancelled, Rejected, TaskError, TimedOut},
    function::limit::Limit,
    outcome::Outcome,
    panic::{self, Caught, quietly},
    run::{
        body::{Body, Failed, InPlace},
        core::{
            ColdStateProjected, Core, Grace, LocalMetrics, Overdue, RunMode, RunState, Stop, Wait,
        },
        output::{ErrorNote, Verdict, panicked},
        watch,
    },
    telemetry::events,
};

/// Facts that the task that polls a run already knows.
#[derive(Clone, Copy, Default)]
pub struct PollContext<'a> {
    /// Wakes the task when its token fires: a run with the same token need not watch it.
    pub(crate) cancel_waker: Option<&'a CancelWaker>,
    /// The time, if it was just read.
    pub(crate) now: Option<Ticks>,
    /// The place for the note of an error, if its scope reads it.
    pub(crate) note: Option<&'a Cell<Option<ErrorNote>>>,
    /// Whether a handle has cancelled the task, which only the token of its body shows.
    pub(crate) is_cancelled: bool,
}

impl PollContext<'_> {
    /// The empty context of a call that is awaited inline. As a constant, it is not written for each poll.
    pub(crate) const EMPTY: Self =
        Self { cancel_waker: None, now: None, note: None, is_cancelled: false };
}

/// How a run finished. Small enough to be returned in registers.
pub struct RunEnded {
    pub(super) outcome: Outcome,
    /// How long the body ran; 0 if it never started.
    pub(super) nanos: u64,
}

/// The same with the error of a run without a value, before the owner gets it.
struct Completion {
    outcome: Outcome,
    /// It had not finished within its grace, and was dropped.
    overdue: bool,
    /// How long the body ran; 0 if it never started.
    nanos: u64,
    error: TaskError,
}

/// A run, borrowed for one step.
pub(super) struct Step<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) body: &'a mut dyn Body,
}

/// A body, borrowed for one poll of its run.
pub(super) struct Lent<'a, 'c, B: ?Sized> {
    /// Set while the body is polled.
    pub(super) entered: Option<Entered>,
    pub(super) cx: &'a mut Context<'c>,
    pub(super) body: B,
}

/// The same, of any type.
type LentBody<'a, 'c, 'b> = Lent<'a, 'c, dyn Body + 'b>;

impl<'b> LentBody<'_, '_, 'b> {
    /// For rare steps: most polls do not need the body here.
    #[inline]
    fn step<'a>(&'a mut self, core: &'a mut Core, token: &'a CancellationToken) -> Step<'a>
    where
        'b: 'a,
    {
        Step { core, token, body: &mut self.body }
    }
}

/// A run whose body is polled, on the stack of runs and within the boundary for panics. Two words: it is on the stack while
/// the body is polled.
pub(super) struct Entered {
    counters: LocalMetrics,
    pushed: Pushed,
    /// The mark of the code around.
    line: Mark,
}

/// The same after the poll.
struct Exited {
    counters: LocalMetrics,
    pushed: Pushed,
    /// The last mark that the body has passed.
    passed: Mark,
}

/// The result of a poll of the run, unless its body is to be polled.
pub(super) type StepFlow<C = ()> = ControlFlow<Poll<RunEnded>, C>;

/// A run, borrowed for one poll.
pub(super) struct OnePoll<'a, 'c, F: Future> {
    pub(super) run: LentRun<'a>,
    pub(super) lent: Lent<'a, 'c, InPlace<'a, F>>,
}

/// All of it but its body. An optimized build has it in registers, since its address is not lent.
pub(super) struct LentRun<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) poll_context: &'a PollContext<'a>,
}

/// The result of a poll of the body, or its panic.
pub(super) type Polled = Result<Option<Verdict>, Box<dyn Any + Send>>;

impl LentRun<'_> {
    /// The first half of a poll: all before the body, which the caller polls unless the poll is over.
    #[inline]
    pub(super) fn enter(&mut self, lent: &mut LentBody<'_, '_, '_>) -> StepFlow {
        enter(self.core, self.token, lent, self.poll_context)
    }

    /// The second half of a poll.
    #[inline]
    pub(super) fn exit(self, lent: &mut LentBody<'_, '_, '_>, polled: Polled) -> Poll<RunEnded> {
        let Self { core, token, poll_context } = self;
        match polled {
            Ok(Some(verdict)) => {
                Poll::Ready(exit_returned(core, token, &mut lent.entered, verdict))
            }
            Ok(None) => exit_pending(core, token, lent, poll_context),
            Err(payload) => Poll::Ready(exit_panicked(core, token, lent, payload)),
        }
    }
}

/// The same two halves without optimization: a returned value then takes room on the stack of its caller.
#[cfg(debug_assertions)]
impl<F: Future> OnePoll<'_, '_, F> {
    /// Whether the body is to be polled now.
    pub(super) fn enter(&mut self) -> bool {
        self.run.enter(&mut self.lent).is_continue()
    }

    pub(super) fn exit(&mut self, polled: Polled) {
        let LentRun { core, token, poll_context } = &mut self.run;
        _ = LentRun { core, token, poll_context }.exit(&mut self.lent, polled);
    }
}

/// A poll between its halves. After a panic only the boundary uses it.
pub(super) struct Between<'a, 'b, 'c, F: Future>(pub(super) &'a mut Lent<'b, 'c, InPlace<'b, F>>);

impl<F: Future> UnwindSafe for Between<'_, '_, '_, F> {}

impl<F: Future> Between<'_, '_, '_, F> {
    // Always inlined, like the functions that it calls: this saves a frame without optimization.
    #[inline(always)]
    pub(super) fn poll(&mut self) -> Option<Verdict> {
        self.0.body.poll(self.0.cx)
    }
}

fn enter(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    poll_context: &PollContext<'_>,
) -> StepFlow {
    let starts = match core.state {
        RunState::New | RunState::Spawned => Some(acquire(core, token, lent, poll_context)?),
        RunState::Running => {
            if core.stop() == Stop::No && core.poll_fired(token, lent.cx, poll_context) {
                if let Some(completion) = lent.step(core, token).on_fired() {
                    return StepFlow::Break(Poll::Ready(completion));
                }
            }
            None
        }
        RunState::Waiting | RunState::Refused | RunState::Done => {
            let Lent { cx, body, .. } = lent;
            Step { core, token, body }.poll_unstarted(cx, poll_context)?;
            Some(None)
        }
    };
    let counters = core.spec.local_metrics();
    if let Some(now) = starts {
        core.start(token, &counters, now);
    }
    let pushed = core.push();
    core.enter_boundary();
    lent.entered = Some(Entered { counters, pushed, line: lines::enter() });
    StepFlow::Continue(())
}

/// The first poll: checks the token, then acquires the permit. Returns the time, if it need not be read again.
#[inline]
fn acquire(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    poll_context: &PollContext<'_>,
) -> StepFlow<Option<Ticks>> {
    if token.is_cancelled()
        || poll_context.is_cancelled
        || poll_context
            .cancel_waker
            .is_some_and(|cancel_waker| core.scope_has_fired(token, cancel_waker))
    {
        return StepFlow::Break(core.refuse(lent.cx));
    }
    if budget::spend_owed(lent.cx).is_pending() {
        return StepFlow::Break(Poll::Pending);
    }
    let spec = core.spec;
    if let Some(limit) = spec.limit() {
        if core.permit.is_none() {
            let Some(permit) = Limit::try_acquire(limit) else {
                let Lent { cx, body, .. } = lent;
                Step { core, token, body }.start_waiting(limit, cx, poll_context)?;
                return StepFlow::Continue(None);
            };
            core.permit = Some(permit);
            spec.local_metrics().record_wait(0);
        }
    }
    StepFlow::Continue(poll_context.now)
}

/// The second half, if the body has returned.
fn exit_returned(
    core: &mut Core,
    token: &CancellationToken,
    entered: &mut Option<Entered>,
    verdict: Verdict,
) -> RunEnded {
    let Exited { counters, .. } = exit(core, entered);
    let outcome = match verdict {
        Verdict::Ok => Outcome::Ok,
        Verdict::Error => Outcome::Error,
        Verdict::CarriesCancelled if token.is_cancelled() => Outcome::Cancelled,
        Verdict::CarriesCancelled | Verdict::CarriesUnfinished => Outcome::Error,
    };
    let nanos = core.record_and_release_running(outcome, counters);
    RunEnded { outcome, nanos }
}

/// The second half, if the body is pending.
fn exit_pending(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    poll_context: &PollContext<'_>,
) -> Poll<RunEnded> {
    let Exited { pushed, passed, .. } = exit(core, &mut lent.entered);
    let moved = passed != Mark::NONE;
    if moved {
        core.line = passed;
    }
    let Lent { cx, body, .. } = lent;
    let polled = Step { core, token, body }.poll_pending(cx, poll_context);
    if polled.is_pending() {
        context::set_line(pushed, core.spec, core.line, moved, core.address());
    }
    polled
}

/// The second half, if the body has panicked.
#[cold]
fn exit_panicked(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut LentBody<'_, '_, '_>,
    payload: Box<dyn Any + Send>,
) -> RunEnded {
    let Entered { pushed, line, .. } = take(&mut lent.entered);
    lines::exit(line);
    let caught = core.catch_at_boundary(payload);
    core.pop(pushed);
    let mut step = lent.step(core, token);
    let completion = step.finish_panicked(caught);
    step.deliver(completion)
}

#[inline]
fn take(entered: &mut Option<Entered>) -> Entered {
    entered.take().expect("a run whose body was polled has entered")
}

/// Exits the boundary for panics, and pops the run off the stack.
#[inline]
fn exit(core: &mut Core, entered: &mut Option<Entered>) -> Exited {
    let Entered { counters, pushed, line } = take(entered);
    let passed = lines::exit(line);
    core.exit_boundary();
    core.pop(pushed);
    Exited { counters, pushed, passed }
}

impl Core {
    /// Whether the token of the scope has fired, if the run has another token. A child token fires with its parent.
    #[inline]
    fn scope_has_fired(&mut self, token: &CancellationToken, cancel_waker: &CancelWaker) -> bool {
        self.set_spawned();
        !self.owns_token() && !cancel_waker.is_for(token) && cancel_waker.is_cancelled()
    }

    /// The token fired before the first poll.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, cx: &mut Context<'_>) -> Poll<RunEnded> {
        self.state = RunState::Refused;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the token has fired; if not, the task is woken when it does.
    fn poll_fired(
        &mut self,
        token: &CancellationToken,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
    ) -> bool {
        if poll_context.is_cancelled {
            return true;
        }
        if let Some(fired) = watch::fired(token, poll_context.cancel_waker) {
            return fired;
        }
        let epoch = CancelEpoch::now();
        let cold = self.cold_mut();
        let fired = watch::poll(cold.watch, token, cx);
        if !fired {
            *cold.uncancelled = epoch;
        }
        fired
    }
}

/// Before the body starts.
impl Step<'_> {
    /// Polls a run that was polled before, but whose body was not.
    #[cold]
    #[inline(never)]
    fn poll_unstarted(&mut self, cx: &mut Context<'_>, poll_context: &PollContext<'_>) -> StepFlow {
        match self.core.state {
            RunState::Waiting => self.poll_permit(cx, poll_context),
            RunState::Refused => {
                let completion = self.finish_cancelled();
                StepFlow::Break(Poll::Ready(self.deliver(completion)))
            }
            _ => panic!("a supervised future was polled after completion"),
        }
    }

    /// The function is at its limit: rejects the run, or waits for a permit.
    #[cold]
    #[inline(never)]
    fn start_waiting(
        &mut self,
        limit: &'static Limit,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
    ) -> StepFlow {
        if self.core.spec.rejects_when_full() {
            let rejected = Rejected::full(self.core.origin(), limit.size());
            return self.reject(rejected);
        }
        if let Some(rejected) = deadlock::check_permit(self.core.spec) {
            return self.reject(rejected.of_call(self.core.origin()));
        }
        *self.core.cold_mut().wait = Some(Wait::Permit(Box::pin(Limit::acquire(limit))));
        self.core.state = RunState::Waiting;
        self.core.since = Ticks::now();
        self.core.spec.local_metrics().record_wait_start();
        context::set_waiting(true);
        self.poll_permit(cx, poll_context)
    }

    fn reject(&mut self, rejected: Rejected) -> StepFlow {
        let completion = self.finish_without_value(TaskError::Rejected(rejected));
        StepFlow::Break(Poll::Ready(self.deliver(completion)))
    }

    fn poll_permit(&mut self, cx: &mut Context<'_>, poll_context: &PollContext<'_>) -> StepFlow {
        if self.core.poll_fired(self.token, cx, poll_context) {
            let completion = self.finish_cancelled();
            return StepFlow::Break(Poll::Ready(self.deliver(completion)));
        }
        let wait = self.core.cold_mut().wait;
        let Some(Wait::Permit(acquire)) = wait else {
            unreachable!("a run that waits for a permit acquires one");
        };
        let Poll::Ready(permit) = acquire.as_mut().poll(cx) else {
            return StepFlow::Break(Poll::Pending);
        };
        *wait = None;
        self.core.permit = Some(permit);
        let counters = self.core.spec.local_metrics();
        counters.record_wait_end();
        counters.record_wait(self.core.since.elapsed_nanos());
        context::set_waiting(false);
        StepFlow::Continue(())
    }
}

/// While the body is pending.
impl Step<'_> {
    /// [`request_stop_or_finish`](Self::request_stop_or_finish), and delivers the error if the run finishes.
    #[cold]
    #[inline(never)]
    fn on_fired(&mut self) -> Option<RunEnded> {
        let completion = self.request_stop_or_finish()?;
        Some(self.deliver(completion))
    }

    /// Whether the task is woken when the token fires.
    #[inline]
    fn is_watched(&self, cancel_waker: Option<&CancelWaker>) -> bool {
        cancel_waker.is_some_and(|cancel_waker| cancel_waker.is_for(self.token))
            || self.core.cold.as_ref().is_some_and(|cold| cold.watch.is_some())
    }

    /// Polls the token, unless it is watched, and the clock.
    #[inline(never)]
    fn poll_pending(
        &mut self,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
    ) -> Poll<RunEnded> {
        if self.core.stop() == Stop::No
            && !self.is_watched(poll_context.cancel_waker)
            && self.core.poll_fired(self.token, cx, poll_context)
        {
            if let Some(completion) = self.on_fired() {
                return Poll::Ready(completion);
            }
        }
        let is_overdue = matches!(self.core.stop(), Stop::Overdue(_));
        if !is_overdue && self.core.timeout().is_none() && self.core.timer().is_none() {
            return Poll::Pending;
        }
        self.poll_clock(cx).map(|completion| self.deliver(completion))
    }

    /// Drops the body if its time is up.
    #[inline(never)]
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Completion> {
        // Without a timer in its runtime, tokio panics.
        let polled = if matches!(self.core.stop(), Stop::Overdue(_)) {
            panic::catch(|| self.poll_overdue(cx))
        } else {
            panic::catch(|| self.poll_timer(cx))
        };
        polled.unwrap_or_else(|caught| Poll::Ready(self.finish_panicked(caught)))
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

    /// The token of the run or that of its scope has fired: asks the body to stop, or drops it.
    #[cold]
    fn request_stop_or_finish(&mut self) -> Option<Completion> {
        if let Some(mut cold) = self.core.cold() {
            cold.watch.set(None);
        }
        let stops_itself = self.core.spec.cooperates()
            && match panic::catch(|| self.request_stop()) {
                Ok(stops_itself) => stops_itself,
                Err(caught) => return Some(self.finish_panicked(caught)),
            };
        let completion =
            if stops_itself { None } else { self.finish_unless_shielded(Overdue::Cancelled) };
        if completion.is_none() {
            context::set_stopping();
        }
        completion
    }

    /// Asks the body to stop, within its grace if it has one. Returns false if it has none and its token cannot fire.
    fn request_stop(&mut self) -> bool {
        let grace = self.core.grace();
        if !self.cancel_own_token() && grace == Grace::NONE {
            return false;
        }
        *self.core.cold_mut().stop = Stop::Requested;
        // Outside a runtime there is no clock to measure the grace with.
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

    /// Returns whether the run's own token has fired. If only that of its scope has, or only its handle has cancelled it,
    /// fires its own here, unless others may share it.
    fn cancel_own_token(&self) -> bool {
        let has_fired = self.token.is_cancelled();
        if !has_fired && self.core.owns_token() {
            quietly(|| self.token.cancel());
            return true;
        }
        has_fired
    }

    fn finish_unless_shielded(&mut self, why: Overdue) -> Option<Completion> {
        let holds = |shields: &Arc<RunShields>| shields.mark_ending();
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
            unreachable!("only an overdue run waits for its shields");
        };
        loop {
            let cold = self.core.cold_mut();
            let until = cold.shields.as_ref().and_then(|shields| shields.until_or_wake(cx.waker()));
            let Some(until) = until else { return Poll::Ready(self.finish_overdue(why)) };
            let mut timer = self.core.set_timer(until);
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
        }
    }
}

/// The end of a run without a value.
impl Step<'_> {
    /// Gives the owner the error of a run that has finished without a value. This comes last: the conversion is user
    /// code.
    #[cold]
    #[inline(never)]
    fn deliver(&mut self, completion: Completion) -> RunEnded {
        let Completion { outcome, overdue, nanos, error } = completion;
        self.body.fail(Failed { error, overdue });
        RunEnded { outcome, nanos }
    }

    #[cold]
    fn finish_cancelled(&mut self) -> Completion {
        let cancelled = Cancelled::new(self.core.origin(), context::cause(self.core.uncancelled()));
        self.finish_without_value(TaskError::Cancelled(cancelled))
    }

    /// Drops a body that had to stop and did not.
    #[cold]
    fn finish_overdue(&mut self, why: Overdue) -> Completion {
        match why {
            Overdue::Cancelled => self.finish_cancelled(),
            Overdue::GraceSpent(grace) => {
                events::did_not_stop(&self.core.origin(), grace.into());
                Completion { overdue: true, ..self.finish_cancelled() }
            }
            Overdue::TimedOut => {
                let timeout = self.core.timeout();
                let timeout = timeout.expect("a timer without grace is that of a timeout");
                let timed_out = TimedOut::new(self.core.origin(), timeout);
                self.finish_without_value(TaskError::TimedOut(timed_out))
            }
        }
    }

    #[cold]
    fn finish_panicked(&mut self, caught: Caught) -> Completion {
        // The returned value, then the body. Only the hook reports a second panic, in the drop of either.
        _ = self.drop_body();
        _ = self.drop_body();
        let error = panicked(self.core.origin(), caught);
        self.finish_without_value(error)
    }

    /// Drops the body and finishes the run with an error of the boundary.
    #[cold]
    fn finish_without_value(&mut self, error: TaskError) -> Completion {
        let error = match self.drop_body() {
            Ok(()) => error,
            Err(caught) => panicked(self.core.origin(), caught),
        };
        let outcome = error.outcome();
        let nanos = self.core.record_and_release(outcome);
        Completion { outcome, overdue: false, nanos, error }
    }

    /// Drops the body, or the value that it has returned.
    fn drop_body(&mut self) -> Result<(), Caught> {
        panic::catch(|| self.body.discard())
    }

    /// Whether a spawned run was cancelled by its scope or by its handle: the run may have another token.
    fn scope_is_stopping(&self) -> bool {
        self.core.mode != RunMode::Awaited && context::is_stopping()
    }

    /// Handles the drop of a run that has not finished.
    pub(super) fn on_drop(&mut self) {
        let dropped = self.drop_body();
        if matches!(self.core.state, RunState::New | RunState::Done) {
            // A call that was never polled is no run, but the drop of its parameters may panic.
            if let Err(caught) = dropped {
                _ = panicked(self.core.origin(), caught);
            }
            return;
        }
        let outcome = match dropped {
            // The same token may have dropped the owner, a moment before it cancels the run.
            Ok(()) if self.token.is_cancelled() || self.scope_is_stopping() => Outcome::Cancelled,
            Ok(()) => Outcome::Dropped,
            Err(caught) => panicked(self.core.origin(), caught).outcome(),
        };
        self.core.record_and_release(outcome);
        if self.core.mode != RunMode::Awaited {
            context::set_dropped_as(outcome);
        }
    }
}
