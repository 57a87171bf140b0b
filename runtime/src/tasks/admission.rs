//! Admission to a scope: its slot and the function's permit, both before the spawn.
//!
//! Invariants
//!
//! 1. A wait for both has a place in both queues, and holds neither while it waits for the other, but for a bounded
//!    time (`function/limit/pair.rs`). Two scopes and one function cannot block each other, nor can a run with the permit that
//!    spawns into the scope; and none of them waits for ever while runs end.
//! 2. A wait is counted as such, and ends counted, whichever way it ends.
//! 3. No wait begins that waits for itself: for a slot that a task of the scope waits for in its own scope,
//!    for a permit that a run around it holds.
//!
//! `slots/loom.rs` checks 1 for every interleaving.

mod hold_timer;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Poll, ready},
};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Ticks,
    context::deadlock,
    context::tree::ScopeNode,
    error::Rejected,
    function::TaskSpec,
    function::limit::pair::{PairStatus, PairWait},
    function::limit::{Limit, Permit, Slot},
    outcome::Outcome,
};

#[cfg(all(test, supervised_loom))]
mod loom;

use crate::tasks::admission::hold_timer::HoldTimer;

/// How many tasks a scope may have at once; without a number, any.
pub(crate) struct Slots(Option<Arc<Limit>>);

/// A place in a scope, and a permit of the function where it has a limit that is waited for.
pub(crate) struct Admission {
    pub(crate) slot: Option<Slot>,
    pub(crate) permit: Option<Permit>,
}

/// Why there is no admission.
pub(crate) enum Refusal {
    /// The token fired first.
    Cancelled,
    Deadlock(Rejected),
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        Self::Deadlock(rejected)
    }
}

impl Slots {
    pub(crate) fn unbounded() -> Self {
        Self(None)
    }

    /// # Panics
    ///
    /// Where `limit` is 0.
    #[track_caller]
    pub(crate) fn bounded(limit: usize) -> Self {
        Self(Some(Arc::new(Limit::new(limit))))
    }

    /// As many as a limit that can change meanwhile.
    pub(crate) fn of(limit: Arc<Limit>) -> Self {
        Self(Some(limit))
    }

    /// Both at once, without waiting.
    pub(crate) fn try_admit(&self, spec: &'static TaskSpec) -> Option<Admission> {
        // A permit that is only taken to be returned would be a missed turn of who waits for it.
        if self.0.as_ref().is_some_and(|slots| slots.is_full()) {
            return None;
        }
        Some(Admission { permit: try_acquire_permit(spec)?, slot: self.try_acquire_slot()? })
    }

    /// Waits for both, in the runs that the spawn waits in; the token ends the wait.
    pub(crate) async fn admit(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
        token: &CancellationToken,
    ) -> Result<Admission, Refusal> {
        let admitted = token.run_until_cancelled(self.acquire(spec, scope)).await;
        Ok(admitted.ok_or(Refusal::Cancelled)??)
    }

    async fn acquire(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
    ) -> Result<Admission, Rejected> {
        let (Some(slots), Some(permits)) = (&self.0, limit_to_wait_for(spec)) else {
            return self.acquire_one_by_one(spec, scope).await;
        };
        let would_deadlock = deadlock::check_permit(spec).is_some()
            || deadlock::check_slot(spec, scope, slots.size()).is_some();
        if would_deadlock {
            return self.acquire_one_by_one(spec, scope).await;
        }
        let (slot, permit) = acquire_both(slots, permits).await;
        Ok(Admission { slot: Some(slot), permit: Some(permit) })
    }

    /// Waits for what there is to wait for. If this is both, a run around holds one of them, and a wait for that
    /// one is rejected: this comes to an end after the first wait.
    async fn acquire_one_by_one(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
    ) -> Result<Admission, Rejected> {
        loop {
            let permit = acquire_permit(spec).await?;
            if let Some(slot) = self.try_acquire_slot() {
                return Ok(Admission { slot, permit });
            }
            drop(permit);
            let slot = self.acquire_slot(spec, scope).await?;
            if let Some(permit) = try_acquire_permit(spec) {
                return Ok(Admission { slot, permit });
            }
        }
    }

    fn try_acquire_slot(&self) -> Option<Option<Slot>> {
        match &self.0 {
            None => Some(None),
            Some(limit) => Limit::try_acquire(limit.clone()).map(Some),
        }
    }

    async fn acquire_slot(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
    ) -> Result<Option<Slot>, Rejected> {
        let Some(limit) = &self.0 else { return Ok(None) };
        if let Some(slot) = self.try_acquire_slot() {
            return Ok(slot);
        }
        match deadlock::check_slot(spec, scope, limit.size()) {
            Some(rejected) => Err(rejected),
            None => Ok(Some(Limit::acquire(limit.clone()).await)),
        }
    }
}

/// Waits for a slot and a permit.
async fn acquire_both(slots: &Arc<Limit>, permits: &'static Limit) -> (Slot, Permit) {
    let mut wait = PairWait::new(slots.clone(), permits);
    let mut hold_timer = HoldTimer::new();
    poll_fn(|cx| {
        loop {
            match wait.poll(cx) {
                PairStatus::Admitted(slot, permit) => return Poll::Ready((slot, permit)),
                PairStatus::Holds => {
                    ready!(hold_timer.poll_hold(cx));
                    wait.release_held();
                }
                PairStatus::Waits => {
                    ready!(hold_timer.poll_rest(cx));
                    wait.may_hold();
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}

/// Waits for a slot of a scope before it is known what it is for.
pub(crate) async fn reserve(limit: &Arc<Limit>, scope: &Arc<ScopeNode>) -> Result<Slot, Rejected> {
    if let Some(slot) = Limit::try_acquire(limit.clone()) {
        return Ok(slot);
    }
    match deadlock::check_reservation(scope, limit.size()) {
        Some(rejected) => Err(rejected),
        None => Ok(Limit::acquire(limit.clone()).await),
    }
}

/// The limit that a spawn waits for; a function that rejects when it is full asks by itself, in its task.
fn limit_to_wait_for(spec: &'static TaskSpec) -> Option<&'static Limit> {
    spec.limit().filter(|_| !spec.rejects_when_full())
}

fn try_acquire_permit(spec: &'static TaskSpec) -> Option<Option<Permit>> {
    match limit_to_wait_for(spec) {
        None => Some(None),
        Some(limit) => Limit::try_acquire(limit).map(Some),
    }
}

async fn acquire_permit(spec: &'static TaskSpec) -> Result<Option<Permit>, Rejected> {
    let Some(limit) = limit_to_wait_for(spec) else { return Ok(None) };
    if let Some(permit) = Limit::try_acquire(limit) {
        return Ok(Some(permit));
    }
    match deadlock::check_permit(spec) {
        Some(rejected) => Err(rejected),
        None => Ok(Some(Limit::acquire(limit).await)),
    }
}

/// A run that waits to be spawned; dropped, it counts as one that its owner dropped.
pub(crate) struct QueuedRun {
    spec: &'static TaskSpec,
    since: Ticks,
    over: bool,
}

impl QueuedRun {
    pub(crate) fn start(spec: &'static TaskSpec) -> Self {
        spec.local_metrics().record_wait_start();
        Self { spec, since: Ticks::now(), over: false }
    }

    /// It is admitted: what is spawned counts from now on.
    pub(crate) fn admitted(mut self) -> AdmittedRun {
        self.over = true;
        let counters = self.spec.local_metrics();
        counters.record_wait_end();
        if self.spec.limit().is_some() {
            counters.record_wait(self.since.elapsed_nanos());
        }
        AdmittedRun { spec: self.spec }
    }

    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.count_end(outcome);
    }

    fn count_end(&mut self, outcome: Outcome) {
        self.over = true;
        let counters = self.spec.local_metrics();
        counters.record_wait_end();
        counters.record_start();
        counters.record_end(outcome);
    }
}

/// A wait that has ended well.
pub(crate) struct AdmittedRun {
    spec: &'static TaskSpec,
}

impl AdmittedRun {
    /// Nothing was spawned after all, which is an end of the run that waited.
    pub(crate) fn finish_unspawned(self, outcome: Outcome) {
        let counters = self.spec.local_metrics();
        counters.record_start();
        counters.record_end(outcome);
    }
}

impl Drop for QueuedRun {
    fn drop(&mut self) {
        if !self.over {
            self.count_end(Outcome::Dropped);
        }
    }
}
