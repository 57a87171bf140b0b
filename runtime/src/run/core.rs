//! The parts of a run besides its token and its body: its state, its permit, and what only a pending run needs.
//!
//! Invariant: [`Core::release`] is the one place where a run releases its permit. Every run that was counted as
//! started, or that got a permit, calls it once, after its end is counted. Otherwise the next run could start, and be
//! counted, before this one has finished.
//!
//! A call with `restart` whose first run is never made has no run: it releases the permit in `record_unmade`.
//!
//! `tests/spec/behaviour/limit.rs` checks it.

use std::{any::Any, cell::Cell, future::Future, pin::Pin, sync::Arc, time::Duration};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    budget,
    clock::Ticks,
    context::{
        self, lines,
        lines::Mark,
        reason::CancelEpoch,
        shields::RunShields,
        stack::{self, OwnTimes, Pushed, RunTimes},
    },
    error::Origin,
    function::{
        TaskSpec,
        limit::Permit,
        metrics::{Stripe, stripes},
    },
    outcome::Outcome,
    panic,
    panic::Caught,
    run::watch::Watch,
    token,
    tuning::Tuning,
};

/// This thread's counters of the function.
pub(super) type LocalMetrics = stripes::LocalMetrics<'static, Stripe>;

pub(super) struct Core {
    pub(super) spec: &'static TaskSpec,
    pub(super) state: RunState,
    pub(super) mode: RunMode,
    // The line that the body waits at.
    pub(super) line: Mark,
    // The start of the wait for a permit, then that of the body.
    pub(super) since: Ticks,
    pub(super) permit: Option<Permit>,
    // Boxed: most runs never allocate it.
    pub(super) cold: Option<Pin<Box<ColdState>>>,
}

pin_project! {
    /// State of a run that is pending, was spawned with a grace, or shares its shields.
    #[project = ColdStateProjected]
    #[derive(Default)]
    pub(super) struct ColdState {
        pub(super) stop: Stop,
        pub(super) longest_grace: Grace,
        // The options of this call.
        pub(super) tuning: Option<Arc<Tuning>>,
        pub(super) wait: Option<Wait>,
        pub(super) shields: Option<Arc<RunShields>>,
        // The site of the panic around the current poll of the body.
        pub(super) outer_site: panic::Outer,
        // When the token was last seen not to have fired.
        pub(super) uncancelled: CancelEpoch,
        #[pin]
        pub(super) watch: Watch,
    }
}

std::thread_local! {
    /// The state of a run that has ended on this thread, as good as new: most runs that are pending need no allocation.
    static SPARE: Cell<Option<Pin<Box<ColdState>>>> = const { Cell::new(None) };
}

impl ColdState {
    #[inline]
    fn new_or_spare() -> Pin<Box<Self>> {
        // `Err`: the thread is ending.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        spare.unwrap_or_else(|| Box::pin(Self::default()))
    }

    /// Drops what the run has stored, and keeps the allocation.
    #[inline(never)]
    fn recycle(mut this: Pin<Box<Self>>) {
        this.set(Self::default());
        _ = SPARE.try_with(|spare| spare.set(Some(this)));
    }
}

/// The caller that polls a run. One byte, since each call writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunMode {
    /// The function that made it, and awaits it.
    Awaited,
    /// A task, or the worker of a map.
    Spawned,
    /// The same. The run has a child token, which its body takes at its first poll.
    OwnsToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunState {
    New,
    /// In a task that was not polled yet. Dropped now, it counts as a run.
    Spawned,
    /// The token fired before the first poll.
    Refused,
    /// Waits for a permit.
    Waiting,
    Running,
    Done,
}

/// Whether a running body has to stop.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stop {
    #[default]
    No,
    /// Its token has fired.
    Requested,
    /// The same, and the timer measures its grace.
    Within(Grace),
    /// It is dropped as soon as no shield holds it.
    Overdue(Overdue),
}

/// Why a body is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Cancelled,
    GraceSpent(Grace),
    TimedOut,
}

/// A grace in milliseconds. One of more than 49 days counts as none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grace(u32);

impl Grace {
    pub(super) const NONE: Self = Self(u32::MAX);

    pub(super) fn of(grace: Option<Duration>) -> Self {
        let millis = grace.map(|grace| u32::try_from(grace.as_millis()));
        millis.map_or(Self::NONE, |millis| millis.map_or(Self::NONE, Self))
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Grace> for Duration {
    fn from(Grace(millis): Grace) -> Self {
        Self::from_millis(millis.into())
    }
}

/// The wait of a pending run, besides its token and its body.
pub(super) enum Wait {
    Permit(Pin<Box<dyn Future<Output = Permit> + Send>>),
    /// The end of the timeout, of the grace, or of the last shield.
    Deadline(Pin<Box<Sleep>>),
}

impl Core {
    /// Prepares a run that is about to be spawned: with its permit, if its scope acquired one, and the longest grace
    /// that its scope allows.
    pub(super) fn prepare(&mut self, permit: Option<Permit>, longest_grace: Option<Duration>) {
        self.state = RunState::Spawned;
        self.set_spawned();
        self.permit = permit;
        if longest_grace.is_some() {
            *self.cold_mut().longest_grace = Grace::of(longest_grace);
        }
    }

    /// Adds options to this call.
    pub(super) fn tune(&mut self, tuning: Tuning) {
        let tuned = self.cold_mut().tuning.get_or_insert_default();
        Arc::make_mut(tuned).merge(tuning);
    }

    /// Sets the options of a call of several runs, before the run is polled.
    pub(super) fn set_tuning(&mut self, tuning: Arc<Tuning>) {
        *self.cold_mut().tuning = Some(tuning);
    }

    #[inline]
    pub(super) fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.cold.as_ref()?.tuning.as_ref()
    }

    /// The timeout of this call, else that of the function.
    #[inline]
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.tuning().and_then(|tuning| tuning.timeout).or(self.spec.timeout())
    }

    /// The grace of this call, else that of the function; at most the longest one that its scope allows.
    pub(super) fn grace(&self) -> Grace {
        let own = self.tuning().and_then(|tuning| tuning.grace).or(self.spec.grace());
        let longest = self.cold.as_ref().map_or(Grace::NONE, |cold| cold.longest_grace);
        Grace::of(own).min(longest)
    }

    /// The function and the label of this call, for an error.
    pub(super) fn origin(&self) -> Origin {
        let label = self.tuning().and_then(|tuning| tuning.label.as_ref());
        Origin::of_call(self.spec, label)
    }

    pub(super) fn set_spawned(&mut self) {
        if self.mode == RunMode::Awaited {
            self.mode = RunMode::Spawned;
        }
    }

    #[inline]
    pub(super) fn owns_token(&self) -> bool {
        self.mode == RunMode::OwnsToken
    }

    /// Whether the body was polled.
    pub(super) fn has_started(&self) -> bool {
        !matches!(
            self.state,
            RunState::New | RunState::Spawned | RunState::Refused | RunState::Waiting
        )
    }

    pub(super) fn stop(&self) -> Stop {
        self.cold.as_ref().map_or(Stop::No, |cold| cold.stop)
    }

    /// When its token was last seen not to have fired.
    pub(super) fn uncancelled(&self) -> CancelEpoch {
        self.cold.as_ref().map_or(CancelEpoch::NEVER, |cold| cold.uncancelled)
    }

    pub(super) fn cold_mut(&mut self) -> ColdStateProjected<'_> {
        self.cold.get_or_insert_with(ColdState::new_or_spare).as_mut().project()
    }

    #[inline]
    pub(super) fn cold(&mut self) -> Option<ColdStateProjected<'_>> {
        self.cold.as_mut().map(|cold| cold.as_mut().project())
    }

    /// Starts a run that has its permit, if it needs one.
    #[inline]
    pub(super) fn start(
        &mut self,
        token: &CancellationToken,
        counters: &LocalMetrics,
        now: Option<Ticks>,
    ) {
        counters.record_start();
        self.state = RunState::Running;
        if self.owns_token() {
            token::hand_over(token);
        }
        self.since = now.unwrap_or_else(Ticks::now);
    }

    /// Enters the boundary for panics, before the body is polled.
    #[inline(always)]
    pub(super) fn enter_boundary(&mut self) {
        let outer = panic::enter();
        if outer.is_some() {
            self.set_outer_site(outer);
        }
    }

    #[cold]
    #[inline(never)]
    fn set_outer_site(&mut self, outer: panic::Outer) {
        *self.cold_mut().outer_site = outer;
    }

    /// Exits the boundary, if the body has not panicked.
    #[inline]
    pub(super) fn exit_boundary(&mut self) {
        let outer = self.cold().and_then(|cold| cold.outer_site.take());
        panic::exit(outer);
    }

    /// Exits the boundary, if the body has panicked.
    #[cold]
    pub(super) fn catch_at_boundary(&mut self, payload: Box<dyn Any + Send>) -> Caught {
        let outer = self.cold().and_then(|cold| cold.outer_site.take());
        panic::caught(payload, outer)
    }

    /// Enters the stack of runs, before the body is polled.
    #[inline]
    pub(super) fn push(&mut self) -> Pushed {
        if self.cold.is_some() {
            return self.push_cold();
        }
        let pushed = context::enter_run(self.spec, self.permit.is_some(), None);
        if self.spec.timeout().is_some() {
            let times = RunTimes { since: self.since, deadline: None, own: None };
            stack::set_times(pushed, times);
        }
        pushed
    }

    /// The same if there may be shields, a timer or options of this call.
    #[inline(never)]
    fn push_cold(&mut self) -> Pushed {
        let pushed = context::enter_run(self.spec, self.permit.is_some(), self.shields_if_any());
        let has_own =
            |cold: &Pin<Box<ColdState>>| cold.tuning.is_some() || cold.longest_grace != Grace::NONE;
        if self.cold.as_ref().is_some_and(has_own) {
            self.set_own_times(pushed);
        } else if self.spec.timeout().is_some() {
            let (since, deadline) = (self.since, self.deadline());
            stack::set_times(pushed, RunTimes { since, deadline, own: None });
        }
        pushed
    }

    #[cold]
    #[inline(never)]
    fn set_own_times(&self, pushed: Pushed) {
        let grace = self.grace();
        let grace = (grace != Grace::NONE).then(|| grace.into());
        let own = Some(OwnTimes { timeout: self.timeout(), grace });
        let (since, deadline) = (self.since, self.deadline());
        stack::set_times(pushed, RunTimes { since, deadline, own });
    }

    /// When the timer of the timeout or of the grace ends, if it runs.
    #[inline]
    fn deadline(&self) -> Option<Instant> {
        match &self.cold.as_ref()?.wait {
            Some(Wait::Deadline(sleep)) => Some(sleep.deadline()),
            _ => None,
        }
    }

    /// Pops the run off the stack. This needs no guard: nothing unwinds out of a body.
    #[inline]
    pub(super) fn pop(&mut self, pushed: Pushed) {
        if context::exit_run(pushed) {
            self.put_shields(pushed);
        }
    }

    /// Counts the end of a run, then releases what it holds. Returns how long the body ran, 0 if it never started.
    #[cold]
    pub(super) fn record_and_release(&mut self, outcome: Outcome) -> u64 {
        let counters = self.spec.local_metrics();
        match self.state {
            RunState::Running => return self.record_and_release_running(outcome, counters),
            RunState::Waiting => counters.record_wait_end(),
            _ => {}
        }
        counters.record_start();
        budget::owe_unit();
        self.release(outcome, counters);
        0
    }

    /// The same for a run whose body has started.
    // Always inlined, as below.
    #[inline(always)]
    pub(super) fn record_and_release_running(
        &mut self,
        outcome: Outcome,
        counters: LocalMetrics,
    ) -> u64 {
        let nanos = self.since.elapsed_nanos();
        counters.record_duration(nanos);
        budget::owe(nanos);
        self.release(outcome, counters);
        nanos
    }

    /// Counts the end of a run, then releases its permit and drops what only a pending run needs.
    // Always inlined: the path of a run that has just returned is short.
    #[inline(always)]
    fn release(&mut self, outcome: Outcome, counters: LocalMetrics) {
        counters.record_end(outcome);
        self.state = RunState::Done;
        // Most runs have none of these: a check costs less than the drop of nothing.
        if self.permit.is_some() {
            self.permit = None;
        }
        if self.cold.is_some() {
            lines::ended(self.address());
            self.cold.take().into_iter().for_each(ColdState::recycle);
        }
    }

    /// What distinguishes a pinned run from all others that are live.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Starts the timer of the timeout, if the function has one and no timer runs.
    pub(super) fn arm_timeout(&mut self) {
        let Some(timeout) = self.timeout() else { return };
        let since = self.since;
        let wait = self.cold_mut().wait;
        if wait.is_none() {
            let spent = since.elapsed_by_tokio();
            let sleep = tokio::time::sleep(timeout.saturating_sub(spent));
            *wait = Some(Wait::Deadline(Box::pin(sleep)));
        }
    }

    pub(super) fn set_timer(&mut self, deadline: Instant) -> Pin<&mut Sleep> {
        match self.timer() {
            Some(timer) if timer.deadline() == deadline => {}
            Some(timer) => timer.reset(deadline),
            None => {
                let sleep = tokio::time::sleep_until(deadline);
                *self.cold_mut().wait = Some(Wait::Deadline(Box::pin(sleep)));
            }
        }
        self.timer().expect("a running body that was given a timer has it")
    }

    pub(super) fn timer(&mut self) -> Option<Pin<&mut Sleep>> {
        match self.cold()?.wait {
            Some(Wait::Deadline(sleep)) => Some(sleep.as_mut()),
            _ => None,
        }
    }

    /// The place of the run's shields, if it may have some.
    #[inline]
    pub(super) fn shields_if_any(&mut self) -> Option<&mut Option<Arc<RunShields>>> {
        self.cold().map(|cold| cold.shields)
    }

    /// Stores the shields of the run, which others share.
    #[cold]
    #[inline(never)]
    pub(super) fn put_shields(&mut self, pushed: Pushed) {
        context::take_back(pushed, self.cold_mut().shields);
    }
}
