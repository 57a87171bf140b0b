//! All of a run but its token and its body, which alone have types of their own.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{clock::Ticks, function::TaskSpec, function::limit::Permit, outcome::Outcome};
use crate::{
    context, context::reason::CancelEpoch, context::shields::RunShields, context::stack::Pushed,
    run::step::LocalMetrics, token,
};
use tokio_util::sync::CancellationToken;

pub(super) struct Core {
    pub(super) spec: &'static TaskSpec,
    pub(super) state: RunState,
    pub(super) mode: RunMode,
    // Of the wait while it waits, of the run while it runs.
    pub(super) since: Ticks,
    pub(super) permit: Option<Permit>,
    // Boxed, since most runs have no use for it: it is neither made nor looked through nor moved there.
    pub(super) cold: Option<Pin<Box<ColdState>>>,
}

pin_project! {
    /// What a run needs that is pending, was spawned with a grace, or whose shields others know.
    #[project = ColdStateProjected]
    #[derive(Default)]
    pub(super) struct ColdState {
        pub(super) stop: Stop,
        pub(super) longest_grace: Grace,
        pub(super) wait: Option<Pin<Box<Wait>>>,
        pub(super) shields: Option<Arc<RunShields>>,
        // The token had not fired at that time.
        pub(super) uncancelled: CancelEpoch,
        // Where no cancel waker is for its token.
        #[pin]
        pub(super) watch: Option<WaitForCancellationFutureOwned>,
    }
}

/// How a run is driven. One byte, since each call writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunMode {
    /// Awaited where it was made.
    Awaited,
    /// A task of its own, or an item.
    Spawned,
    /// The same. Its token is a child that was made for it, which its body takes at its first poll.
    OwnsToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunState {
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
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing yet.
    #[default]
    No,
    /// To end by itself: its token has fired.
    Requested,
    /// The same, and the timer counts its grace.
    Within(Grace),
    /// To be dropped, as soon as no shield holds it.
    Overdue(Overdue),
}

/// What a body is to be dropped for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Cancelled,
    GraceSpent(Grace),
    TimedOut,
}

/// Milliseconds, small enough for every run to carry; one beyond 49 days is as good as none.
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

pin_project! {
    /// What a pending run needs besides its token; boxed, since most runs never do.
    #[project = WaitProjected]
    pub(super) enum Wait {
        Permit { acquire: AcquirePermit },
        /// The end of the timeout, of the grace, or of the last shield.
        Deadline { #[pin] sleep: Sleep },
    }
}

type AcquirePermit = Pin<Box<dyn Future<Output = Permit> + Send>>;

impl Core {
    /// It is about to be spawned: with a permit that was acquired for it, and what its scope allows as grace.
    pub(super) fn prepare(&mut self, permit: Option<Permit>, longest_grace: Option<Duration>) {
        self.state = RunState::Spawned;
        self.set_spawned();
        self.permit = permit;
        if longest_grace.is_some() {
            let longest_grace = Grace::of(longest_grace);
            self.cold = Some(Box::pin(ColdState { longest_grace, ..ColdState::default() }));
        }
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

    /// Whether the body has been polled.
    pub(super) fn has_started(&self) -> bool {
        !matches!(
            self.state,
            RunState::New | RunState::Spawned | RunState::Refused | RunState::Waiting
        )
    }

    pub(super) fn stop(&self) -> Stop {
        self.cold.as_ref().map_or(Stop::No, |cold| cold.stop)
    }

    /// When its token was seen last that had not fired, if that is known.
    pub(super) fn uncancelled(&self) -> CancelEpoch {
        self.cold.as_ref().map_or(CancelEpoch::NEVER, |cold| cold.uncancelled)
    }

    pub(super) fn cold_mut(&mut self) -> ColdStateProjected<'_> {
        self.cold.get_or_insert_with(|| Box::pin(ColdState::default())).as_mut().project()
    }

    #[inline]
    pub(super) fn cold(&mut self) -> Option<ColdStateProjected<'_>> {
        self.cold.as_mut().map(|cold| cold.as_mut().project())
    }

    pub(super) fn wait(&mut self) -> Option<WaitProjected<'_>> {
        let cold = self.cold()?;
        cold.wait.as_mut().map(|wait| wait.as_mut().project())
    }

    /// The run has all that it waited for.
    #[inline]
    pub(super) fn begin(
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

    /// The body is about to be polled.
    #[inline]
    pub(super) fn push(&mut self) -> Pushed {
        context::enter_run(self.spec, self.permit.is_some(), self.shields_if_any())
    }

    /// Nothing unwinds out of a body, so that what is entered is left without a guard.
    #[inline]
    pub(super) fn pop(&mut self, pushed: Pushed) {
        if context::exit_run(pushed) {
            self.put_shields(pushed);
        }
    }

    /// Counts the end of a run whose body has begun, then gives everything back; how long it took.
    #[inline]
    pub(super) fn record_and_release_running(
        &mut self,
        outcome: Outcome,
        counters: LocalMetrics,
    ) -> u64 {
        let nanos = self.since.elapsed_nanos();
        counters.record_duration(nanos);
        self.release(outcome, counters);
        nanos
    }

    // By force: it is small, though what it seldom does is not, and a run that has just returned comes by here.
    #[inline(always)]
    pub(super) fn release(&mut self, outcome: Outcome, counters: LocalMetrics) {
        counters.record_end(outcome);
        self.state = RunState::Done;
        // Most runs have none of these: a look costs less than the drop of nothing.
        if self.permit.is_some() {
            self.permit = None;
        }
        if self.cold.is_some() {
            self.cold = None;
        }
    }

    /// Counts the timeout, if the function has one, from the begin of the run.
    pub(super) fn arm_timeout(&mut self) {
        let Some(timeout) = self.spec.timeout() else { return };
        if self.cold_mut().wait.is_none() {
            let spent = self.since.elapsed_by_tokio();
            let sleep = tokio::time::sleep(timeout.saturating_sub(spent));
            *self.cold_mut().wait = Some(Box::pin(Wait::Deadline { sleep }));
        }
    }

    pub(super) fn set_timer(&mut self, deadline: Instant) -> Pin<&mut Sleep> {
        match self.timer() {
            Some(timer) if timer.deadline() == deadline => {}
            Some(timer) => timer.reset(deadline),
            None => {
                let sleep = tokio::time::sleep_until(deadline);
                *self.cold_mut().wait = Some(Box::pin(Wait::Deadline { sleep }));
            }
        }
        self.timer().expect("a running body that was given a timer has it")
    }

    pub(super) fn timer(&mut self) -> Option<Pin<&mut Sleep>> {
        match self.wait() {
            Some(WaitProjected::Deadline { sleep }) => Some(sleep),
            _ => None,
        }
    }

    /// The place of the shields of the run, if it may have one.
    #[inline]
    pub(super) fn shields_if_any(&mut self) -> Option<&mut Option<Arc<RunShields>>> {
        self.cold().map(|cold| cold.shields)
    }

    /// Someone was given the shields of the run, now or before.
    #[cold]
    #[inline(never)]
    pub(super) fn put_shields(&mut self, pushed: Pushed) {
        context::take_back(pushed, self.cold_mut().shields);
    }
}
