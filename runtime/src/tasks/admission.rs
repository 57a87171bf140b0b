//! Admission to a group or a pool: acquires a slot of the scope and a permit of the function before the spawn.
//!
//! Invariants
//!
//! 1. A wait for both is in both queues, and holds one while it waits for the other only for a bounded time
//!    (`function/limit/pair.rs`). Otherwise two groups and one function could deadlock, and so could a run that spawns
//!    into its group while it holds the permit. As long as runs end, every spawn is admitted eventually.
//! 2. Each wait is counted from its start to its end, however it ends. Otherwise `stats` would report a waiting run for
//!    ever. (`tests/spec/behaviour`)
//! 3. A self-deadlock is rejected: a wait for a slot of the full group that the caller is in, or for a permit that an
//!    enclosing run holds. Such a wait would never end.
//!
//! `admission/loom.rs` checks 1 for every interleaving.

mod hold_timer;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio_util::sync::CancellationToken;

use crate::{
    budget,
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

/// The limit on the live tasks of a scope; `None` for no limit.
pub(crate) struct Slots(Option<Arc<Limit>>);

/// A slot of a group or pool, and a permit of the function if the spawn waits for its limit.
pub(crate) struct Admission<'a> {
    pub(crate) slot: Option<Slot<'a>>,
    pub(crate) permit: Option<Permit>,
}

/// Why there is no admission.
pub(crate) enum Refusal<N = Infallible> {
    /// The token fired first.
    Cancelled,
    Deadlock(Rejected),
    /// The run was not created.
    NotMade(N),
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
    /// If `limit` is 0.
    #[track_caller]
    pub(crate) fn bounded(limit: usize) -> Self {
        Self(Some(Arc::new(Limit::new(limit))))
    }

    /// Slots of a shared `limit`, which can be changed later.
    pub(crate) fn of(limit: Arc<Limit>) -> Self {
        Self(Some(limit))
    }

    /// Acquires both without waiting, or neither.
    pub(crate) fn try_admit(&self, spec: &'static TaskSpec) -> Option<Admission<'_>> {
        // Checked first: acquiring a permit and releasing it unused could delay a waiting run.
        if self.0.as_ref().is_some_and(|slots| slots.is_full()) {
            return None;
        }
        Some(Admission { permit: try_acquire_permit(spec)?, slot: self.try_acquire_slot()? })
    }

    /// Releases the slot that a task has kept.
    #[inline]
    pub(crate) fn release(&self) {
        self.0.iter().for_each(|limit| drop(limit.kept()));
    }

    /// Waits for both, inside the run that awaits the spawn. The token ends the wait.
    pub(crate) async fn admit(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
        token: &CancellationToken,
    ) -> Result<Admission<'_>, Refusal> {
        let admitted = token.run_until_cancelled(self.acquire(spec, scope)).await;
        Ok(admitted.ok_or(Refusal::Cancelled)??)
    }

    async fn acquire(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
    ) -> Result<Admission<'_>, Rejected> {
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

    /// Waits for one of the two, then tries to acquire the other. If neither is free, an enclosing run holds one of
    /// them, and the wait for that one is rejected: the loop ends after the first wait.
    async fn acquire_one_by_one(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
    ) -> Result<Admission<'_>, Rejected> {
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

    fn try_acquire_slot(&self) -> Option<Option<Slot<'_>>> {
        match &self.0 {
            None => Some(None),
            Some(limit) => Limit::try_acquire(&**limit).map(Some),
        }
    }

    async fn acquire_slot(
        &self,
        spec: &'static TaskSpec,
        scope: &Arc<ScopeNode>,
    ) -> Result<Option<Slot<'_>>, Rejected> {
        let Some(limit) = &self.0 else { return Ok(None) };
        if let Some(slot) = self.try_acquire_slot() {
            return Ok(slot);
        }
        match deadlock::check_slot(spec, scope, limit.size()) {
            Some(rejected) => Err(rejected),
            None => Ok(Some(Limit::acquire(&**limit).await)),
        }
    }
}

/// Waits for a slot and a permit.
async fn acquire_both<'a>(slots: &'a Arc<Limit>, permits: &'static Limit) -> (Slot<'a>, Permit) {
    let mut wait = PairWait::new(slots, permits);
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
                    ready!(hold_timer.poll_pause(cx));
                    wait.may_hold();
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}

/// Waits for a slot of a scope, for a task that is not known yet.
pub(crate) async fn reserve<'a>(
    limit: &'a Limit,
    scope: &Arc<ScopeNode>,
) -> Result<Slot<'a>, Rejected> {
    if let Some(slot) = Limit::try_acquire(limit) {
        return Ok(slot);
    }
    match deadlock::check_reservation(scope, limit.size()) {
        Some(rejected) => Err(rejected),
        None => Ok(Limit::acquire(limit).await),
    }
}

/// Returns the limit that a spawn waits for. With `on_full = "reject"` the run itself acquires the permit, in its task.
fn limit_to_wait_for(spec: &'static TaskSpec) -> Option<&'static Limit> {
    spec.limit_before_run().filter(|_| !spec.rejects_when_full())
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

/// The state of a spawn that acquires its slot and permit. `N` is the reason why no run was created.
pub(crate) enum AdmissionWait<'a, N> {
    New {
        spec: &'static TaskSpec,
    },
    Waiting {
        admission: Pin<Box<dyn Future<Output = Result<Admission<'a>, Refusal>> + Send + 'a>>,
        queued: QueuedRun,
    },
    /// Admitted or refused, after waiting.
    Waited(QueuedRun),
    NotMade(N),
    Done,
}

impl<'a, N> AdmissionWait<'a, N> {
    /// Acquires both if they are free, otherwise waits for them. `token` ends the wait.
    pub(crate) fn poll(
        &mut self,
        slots: &'a Slots,
        scope: &'a Arc<ScopeNode>,
        token: &'a CancellationToken,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Admission<'a>, Refusal<N>>> {
        if let Self::Waiting { .. } = self {
            return self.poll_waiting(cx);
        }
        ready!(budget::spend(cx));
        if let Self::New { spec } = *self {
            // A new one has nothing to drop.
            std::mem::forget(std::mem::replace(self, Self::Done));
            if let Some(admission) = slots.try_admit(spec) {
                if admission.permit.is_some() {
                    spec.local_metrics().record_wait(0);
                }
                return Poll::Ready(Ok(admission));
            }
            let admission = Box::pin(slots.admit(spec, scope, token));
            *self = Self::Waiting { admission, queued: QueuedRun::start(spec) };
            return self.poll_waiting(cx);
        }
        match std::mem::replace(self, Self::Done) {
            Self::NotMade(why) => Poll::Ready(Err(Refusal::NotMade(why))),
            _ => panic!("a spawn was polled after completion"),
        }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<Admission<'a>, Refusal<N>>> {
        let admitted = match self {
            Self::Waiting { admission, .. } => ready!(admission.as_mut().poll(cx)),
            _ => unreachable!("only a waiting spawn is polled here"),
        };
        if let Self::Waiting { mut queued, .. } = std::mem::replace(self, Self::Done) {
            if admitted.is_ok() {
                queued.admit();
            }
            *self = Self::Waited(queued);
        }
        Poll::Ready(admitted.map_err(|refusal| match refusal {
            Refusal::Cancelled => Refusal::Cancelled,
            Refusal::Deadlock(rejected) => Refusal::Deadlock(rejected),
            Refusal::NotMade(never) => match never {},
        }))
    }

    /// Returns the function of a spawn that waits or has waited.
    pub(crate) fn queued_spec(&self) -> Option<&'static TaskSpec> {
        match self {
            Self::Waiting { queued, .. } | Self::Waited(queued) => Some(queued.spec),
            _ => None,
        }
    }

    /// Counts the end of a run that waited and was not spawned.
    pub(crate) fn finish(&mut self, outcome: Outcome) {
        if let Self::Waited(queued) = std::mem::replace(self, Self::Done) {
            queued.finish(outcome);
        }
    }
}

/// Counts a run that waits to be spawned. If this is dropped before admission, the run is counted as dropped.
pub(crate) struct QueuedRun {
    spec: &'static TaskSpec,
    since: Ticks,
    count: QueueCount,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum QueueCount {
    Waiting,
    /// The spawned run is counted by itself.
    Admitted,
    Finished,
}

impl QueuedRun {
    fn start(spec: &'static TaskSpec) -> Self {
        spec.local_metrics().record_wait_start();
        Self { spec, since: Ticks::now(), count: QueueCount::Waiting }
    }

    fn admit(&mut self) {
        self.count = QueueCount::Admitted;
        let counters = self.spec.local_metrics();
        counters.record_wait_end();
        if self.spec.limit().is_some() {
            counters.record_wait(self.since.elapsed_nanos());
        }
    }

    fn finish(mut self, outcome: Outcome) {
        self.record_end(outcome);
    }

    fn record_end(&mut self, outcome: Outcome) {
        let counters = self.spec.local_metrics();
        if std::mem::replace(&mut self.count, QueueCount::Finished) == QueueCount::Waiting {
            counters.record_wait_end();
        }
        counters.record_start();
        counters.record_end(outcome);
    }
}

impl Drop for QueuedRun {
    fn drop(&mut self) {
        if self.count == QueueCount::Waiting {
            self.record_end(Outcome::Dropped);
        }
    }
}
