//! The end of a run: what it is counted as, and what is given back, whichever way it ends.

use super::{
    core::{Overdue, Stage},
    frame,
    output::Verdict,
    step::Step,
};
use crate::{
    Cancelled, Outcome, Panic, TaskError, TimedOut, events,
    metrics::{Here, Stripe},
    panic::Caught,
};

/// How a run ended: with what its body returned, unless there is an error.
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// It had not ended within its grace, and was dropped.
    pub(super) overdue: bool,
    /// How long the body took; 0 where it was not reached.
    pub(super) nanos: u64,
    pub(super) error: Option<TaskError>,
}

impl Step<'_> {
    /// The body has returned; `here` are this thread's counters.
    #[inline]
    pub(super) fn end_returned(&mut self, verdict: Verdict, here: Here<'_, Stripe>) -> End {
        let outcome = match verdict {
            Verdict::Ok => Outcome::Ok,
            Verdict::Error => Outcome::Error,
            Verdict::CarriesCancelled if self.token.is_cancelled() => Outcome::Cancelled,
            Verdict::CarriesCancelled => Outcome::Error,
        };
        let nanos = self.settle(outcome, here);
        End { outcome, overdue: false, nanos, error: None }
    }

    #[cold]
    pub(super) fn end_cancelled(&mut self) -> End {
        let cancelled = Cancelled::new(self.core.spec.name(), frame::cause());
        self.end_without_value(TaskError::Cancelled(cancelled))
    }

    /// Drops a body that could not be left to end by itself.
    #[cold]
    pub(super) fn end_overdue(&mut self, why: Overdue) -> End {
        match why {
            Overdue::Cancelled => self.end_cancelled(),
            Overdue::GraceSpent(grace) => {
                events::did_not_stop(self.core.spec.name(), grace.into());
                End { overdue: true, ..self.end_cancelled() }
            }
            Overdue::TimedOut => {
                let spec = self.core.spec;
                let timeout = spec.timeout().expect("a timer without grace is that of a timeout");
                let timed_out = TimedOut::new(spec.name(), timeout);
                self.end_without_value(TaskError::TimedOut(timed_out))
            }
        }
    }

    #[cold]
    pub(super) fn end_panicked(&mut self, caught: Caught) -> End {
        // What it has returned, then the body. A second panic, in the drop of either, is told by the hook alone.
        _ = self.drop_body();
        _ = self.drop_body();
        let panicked = self.panicked(caught);
        self.end_without_value(panicked)
    }

    /// Drops the body and ends the run with what the boundary has to say.
    #[cold]
    pub(super) fn end_without_value(&mut self, error: TaskError) -> End {
        let error = match self.drop_body() {
            Ok(()) => error,
            Err(caught) => self.panicked(caught),
        };
        let outcome = error.outcome();
        let nanos = self.settle(outcome, self.core.spec.here());
        End { outcome, overdue: false, nanos, error: Some(error) }
    }

    #[cold]
    fn panicked(&self, caught: Caught) -> TaskError {
        let panic = Panic::new(self.core.spec.name(), caught);
        events::panicked(&panic);
        TaskError::Panicked(panic)
    }

    /// Counts the end, then gives everything back.
    #[inline]
    fn settle(&mut self, outcome: Outcome, here: Here<'_, Stripe>) -> u64 {
        let core = &mut *self.core;
        let mut nanos = 0;
        match core.stage {
            Stage::Running => {
                nanos = core.since.elapsed_nanos();
                here.ran_for(nanos);
            }
            stage => {
                if stage == Stage::Waiting {
                    here.wait_ended();
                }
                here.started();
            }
        }
        here.ended(outcome);
        core.stage = Stage::Done;
        // Most runs have none of these: a look costs less than the drop of nothing.
        if core.permit.is_some() {
            core.permit = None;
        }
        if core.more.is_some() {
            core.more = None;
        }
        nanos
    }

    /// The owner drops the run.
    pub(super) fn abandon(&mut self) {
        let dropped = self.drop_body();
        if !matches!(self.core.stage, Stage::Spawned | Stage::Waiting | Stage::Running) {
            // A body that never began is no run, but what it was given may panic when it is dropped.
            if let Err(caught) = dropped {
                _ = self.panicked(caught);
            }
            return;
        }
        let outcome = match dropped {
            // Who owns it may have been dropped by the same token, a moment before it was asked.
            Ok(()) if self.token.is_cancelled() => Outcome::Cancelled,
            Ok(()) => Outcome::Dropped,
            Err(caught) => self.panicked(caught).outcome(),
        };
        self.settle(outcome, self.core.spec.here());
    }
}
