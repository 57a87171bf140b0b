//! The end of a run: what it is counted as, and what is given back, whichever way it ends.

use crate::{
    context::shields,
    run::body::Failed,
    run::core::{Core, Overdue, RunMode, RunState},
    run::output::Verdict,
    run::step::{LocalMetrics, Step},
};
use crate::{
    error::{Cancelled, TaskError, TimedOut},
    outcome::Outcome,
    panic,
    panic::{Caught, Panic},
    telemetry::events,
};
use tokio_util::sync::CancellationToken;

/// How a run ended. Small enough to be returned in registers.
pub struct RunEnded {
    pub(super) outcome: Outcome,
    /// How long the body took; 0 where it was not reached.
    pub(super) nanos: u64,
}

impl RunEnded {
    /// The body has returned; `counters` are this thread's counters.
    #[inline]
    pub(super) fn returned(
        core: &mut Core,
        token: &CancellationToken,
        verdict: Verdict,
        counters: LocalMetrics,
    ) -> Self {
        let outcome = match verdict {
            Verdict::Ok => Outcome::Ok,
            Verdict::Error => Outcome::Error,
            Verdict::CarriesCancelled if token.is_cancelled() => Outcome::Cancelled,
            Verdict::CarriesCancelled | Verdict::CarriesUnfinished => Outcome::Error,
        };
        let nanos = core.record_and_release_running(outcome, counters);
        Self { outcome, nanos }
    }
}

/// The same, before the error of a run without a value is where its owner takes it.
pub(super) struct Completion {
    pub(super) outcome: Outcome,
    /// It had not ended within its grace, and was dropped.
    pub(super) overdue: bool,
    /// How long the body took; 0 where it was not reached.
    pub(super) nanos: u64,
    error: TaskError,
}

impl Step<'_> {
    /// Gives the owner the error of a run that has ended without a value. It is the last thing that is done: what it is
    /// converted with is the user's code.
    #[cold]
    #[inline(never)]
    pub(super) fn deliver(&mut self, end: Completion) -> RunEnded {
        let Completion { outcome, overdue, nanos, error } = end;
        self.body.fail(Failed { error, overdue });
        RunEnded { outcome, nanos }
    }

    #[cold]
    pub(super) fn finish_cancelled(&mut self) -> Completion {
        let cancelled = Cancelled::new(self.core.spec, shields::cause(self.core.uncancelled()));
        self.finish_without_value(TaskError::Cancelled(cancelled))
    }

    /// Drops a body that could not be left to end by itself.
    #[cold]
    pub(super) fn finish_overdue(&mut self, why: Overdue) -> Completion {
        match why {
            Overdue::Cancelled => self.finish_cancelled(),
            Overdue::GraceSpent(grace) => {
                events::did_not_stop(self.core.spec.name(), grace.into());
                Completion { overdue: true, ..self.finish_cancelled() }
            }
            Overdue::TimedOut => {
                let spec = self.core.spec;
                let timeout = spec.timeout().expect("a timer without grace is that of a timeout");
                let timed_out = TimedOut::new(spec, timeout);
                self.finish_without_value(TaskError::TimedOut(timed_out))
            }
        }
    }

    #[cold]
    pub(super) fn finish_panicked(&mut self, caught: Caught) -> Completion {
        // What it has returned, then the body. A second panic, in the drop of either, is told by the hook alone.
        _ = self.drop_body();
        _ = self.drop_body();
        let panicked = self.panicked(caught);
        self.finish_without_value(panicked)
    }

    /// Drops the body and ends the run with what the boundary has to say.
    #[cold]
    pub(super) fn finish_without_value(&mut self, error: TaskError) -> Completion {
        let error = match self.drop_body() {
            Ok(()) => error,
            Err(caught) => self.panicked(caught),
        };
        let outcome = error.outcome();
        let nanos = self.record_and_release(outcome);
        Completion { outcome, overdue: false, nanos, error }
    }

    #[cold]
    fn panicked(&self, caught: Caught) -> TaskError {
        let panic = Panic::new(self.core.spec, caught);
        events::panicked(&panic);
        TaskError::Panicked(panic)
    }

    /// Drops the body, or what it has returned.
    fn drop_body(&mut self) -> Result<(), Caught> {
        panic::catch(|| self.body.discard())
    }

    /// Counts the end, then gives everything back.
    fn record_and_release(&mut self, outcome: Outcome) -> u64 {
        let counters = self.core.spec.local_metrics();
        match self.core.state {
            RunState::Running => return self.core.record_and_release_running(outcome, counters),
            RunState::Waiting => counters.record_wait_end(),
            _ => {}
        }
        counters.record_start();
        self.core.release(outcome, counters);
        0
    }

    /// Whether the scope of a spawned run has been cancelled: its token may be another one.
    fn scope_is_stopping(&self) -> bool {
        self.core.mode != RunMode::Awaited && shields::is_stopping()
    }

    /// The owner drops the run.
    pub(super) fn on_drop(&mut self) {
        let dropped = self.drop_body();
        if matches!(self.core.state, RunState::New | RunState::Done) {
            // A call that was never polled is no run, but what it was given may panic when it is dropped.
            if let Err(caught) = dropped {
                _ = self.panicked(caught);
            }
            return;
        }
        let outcome = match dropped {
            // Who owns it may have been dropped by the same token, a moment before it was asked.
            Ok(()) if self.token.is_cancelled() || self.scope_is_stopping() => Outcome::Cancelled,
            Ok(()) => Outcome::Dropped,
            Err(caught) => self.panicked(caught).outcome(),
        };
        self.record_and_release(outcome);
    }
}
