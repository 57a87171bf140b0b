//! Admission to a scope: its slot and the function's permit, both before the spawn.
//!
//! Invariants
//!
//! 1. Neither is held while the other is waited for: it waits for one, tries the other, gives the first
//!    back if that fails, and waits for the other. Two scopes and one function cannot block each other.
//! 2. A wait is counted as such, and ends counted, whichever way it ends.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    clock::Ticks,
    limit::{Limit, Permit, Slot},
    spec::TaskSpec,
};

/// How many tasks a scope may have at once; without a number, any.
#[derive(Clone)]
pub(super) struct Slots(Option<Arc<Limit>>);

/// A place in a scope, and a permit of the function where it has a limit that is waited for.
pub(super) struct Admission {
    pub(super) slot: Option<Slot>,
    pub(super) permit: Option<Permit>,
}

impl Slots {
    pub(super) fn unbounded() -> Self {
        Self(None)
    }

    /// # Panics
    ///
    /// Where `limit` is 0.
    #[track_caller]
    pub(super) fn bounded(limit: usize) -> Self {
        Self(Some(Arc::new(Limit::new(limit))))
    }

    /// Both at once, without waiting.
    pub(super) fn try_admit(&self, spec: &'static TaskSpec) -> Option<Admission> {
        Some(Admission { permit: try_permit(spec)?, slot: self.try_slot()? })
    }

    /// Waits for both; `None` when the token fires before.
    pub(super) async fn admit(
        self,
        spec: &'static TaskSpec,
        token: CancellationToken,
    ) -> Option<Admission> {
        token.run_until_cancelled(self.admitted(spec)).await
    }

    async fn admitted(&self, spec: &'static TaskSpec) -> Admission {
        loop {
            let permit = permit(spec).await;
            if let Some(slot) = self.try_slot() {
                return Admission { slot, permit };
            }
            drop(permit);
            let slot = self.slot().await;
            if let Some(permit) = try_permit(spec) {
                return Admission { slot, permit };
            }
        }
    }

    fn try_slot(&self) -> Option<Option<Slot>> {
        match &self.0 {
            None => Some(None),
            Some(limit) => Limit::try_acquire(limit.clone()).map(Some),
        }
    }

    async fn slot(&self) -> Option<Slot> {
        match &self.0 {
            None => None,
            Some(limit) => Some(Limit::acquire(limit.clone()).await),
        }
    }
}

/// A function that rejects when it is full asks for its permit by itself, in its task.
fn asks_itself(spec: &TaskSpec) -> bool {
    spec.rejects_when_full()
}

fn try_permit(spec: &'static TaskSpec) -> Option<Option<Permit>> {
    match spec.limit() {
        Some(limit) if !asks_itself(spec) => Limit::try_acquire(limit).map(Some),
        _ => Some(None),
    }
}

async fn permit(spec: &'static TaskSpec) -> Option<Permit> {
    match spec.limit() {
        Some(limit) if !asks_itself(spec) => Some(Limit::acquire(limit).await),
        _ => None,
    }
}

/// A run that waits to be spawned; dropped, it counts as one that its owner dropped.
pub(super) struct Waiting {
    spec: &'static TaskSpec,
    since: Ticks,
    over: bool,
}

impl Waiting {
    pub(super) fn begin(spec: &'static TaskSpec) -> Self {
        spec.here().wait_begun();
        Self { spec, since: Ticks::now(), over: false }
    }

    pub(super) fn granted(mut self) {
        self.over = true;
        let here = self.spec.here();
        here.wait_ended();
        if self.spec.limit().is_some() {
            here.waited_for(self.since.elapsed_nanos());
        }
    }

    pub(super) fn cancelled(mut self) {
        self.end(Outcome::Cancelled);
    }

    fn end(&mut self, outcome: Outcome) {
        self.over = true;
        let here = self.spec.here();
        here.wait_ended();
        here.started();
        here.ended(outcome);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over {
            self.end(Outcome::Dropped);
        }
    }
}
