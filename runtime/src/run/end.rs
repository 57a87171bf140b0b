//! The end of a run: what it is counted as, and what is given back, whichever way it ends.

use std::future::Future;

use super::{Overdue, Projected, Settled, Stage, frame};
use crate::{
    AsToken, Cancelled, Outcome, Panic, TaskError, TimedOut, events,
    metrics::{Here, Stripe},
    panic::{self, Caught},
};

impl<F: Future, T: AsToken> Projected<'_, F, T> {
    #[cold]
    pub(super) fn end_cancelled(&mut self) -> Settled<F::Output> {
        let cancelled = Cancelled::new(self.spec.name(), frame::cause());
        self.end_without_value(TaskError::Cancelled(cancelled))
    }

    /// Drops a body that could not be left to end by itself.
    #[cold]
    pub(super) fn end_overdue(&mut self, why: Overdue) -> Settled<F::Output> {
        match why {
            Overdue::Cancelled => self.end_cancelled(),
            Overdue::GraceSpent(grace) => {
                events::did_not_stop(self.spec.name(), grace.into());
                Settled { overdue: true, ..self.end_cancelled() }
            }
            Overdue::TimedOut => {
                let timeout =
                    self.spec.timeout().expect("a timer without grace is that of a timeout");
                let timed_out = TimedOut::new(self.spec.name(), timeout);
                self.end_without_value(TaskError::TimedOut(timed_out))
            }
        }
    }

    /// Drops the body and ends the run with what the boundary has to say.
    #[cold]
    pub(super) fn end_without_value(&mut self, error: TaskError) -> Settled<F::Output> {
        let error = match self.drop_body() {
            Ok(()) => error,
            Err(caught) => self.panicked(caught),
        };
        let outcome = error.outcome();
        let nanos = self.settle(outcome);
        Settled { outcome, overdue: false, nanos, result: Err(error) }
    }

    #[cold]
    pub(super) fn panicked(&self, caught: Caught) -> TaskError {
        let panic = Panic::new(self.spec.name(), caught);
        events::panicked(&panic);
        TaskError::Panicked(panic)
    }

    pub(super) fn drop_body(&mut self) -> Result<(), Caught> {
        panic::catch(|| self.body.set(None))
    }

    /// Counts the end, then gives everything back.
    pub(super) fn settle(&mut self, outcome: Outcome) -> u64 {
        self.settle_here(outcome, self.spec.here())
    }

    /// The same, where this thread's counters are at hand.
    #[inline]
    pub(super) fn settle_here(&mut self, outcome: Outcome, here: Here<'_, Stripe>) -> u64 {
        let mut nanos = 0;
        match *self.stage {
            Stage::Running => {
                nanos = self.since.elapsed_nanos();
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
        *self.stage = Stage::Done;
        // Most runs have none of these: a look costs less than the drop of nothing.
        if self.permit.is_some() {
            *self.permit = None;
        }
        if self.more.is_some() {
            *self.more = None;
        }
        nanos
    }

    /// The owner drops the run.
    pub(super) fn abandon(&mut self) {
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
            // Who owns it may have been dropped by the same token, a moment before it was asked.
            Ok(()) if self.token().is_cancelled() => Outcome::Cancelled,
            Ok(()) => Outcome::Dropped,
            Err(caught) => self.panicked(caught).outcome(),
        };
        self.settle(outcome);
    }
}
