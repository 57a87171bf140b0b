//! The end of a pool: it accepts no new work, and lets running work finish.
//!
//! ```text
//! closed ── work finishes ── `stopping` before the end: the token fires ── the end: what is left is aborted
//! ```
//!
//! Any number of drains may be active, and any may be dropped: their state is in the pool. A drain in the body of a
//! main ends before main's grace does.
//!
//! Invariants, checked by `tests/spec/behaviour/drain.rs` and `tests/spec/composition/pool_reports.rs`
//!
//! 1. `Ok` means that every task finished by itself: every task that was cancelled, aborted or dropped is added to
//!    `pool/unfinished.rs` before it is removed from the pool, and each drain returns all of them.
//!    Only tasks that ended since the token of `stop_with` fired are not.
//! 2. The pool notes that it cancels before its token fires: no task that ends as cancelled by the drain is missed.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    runtime,
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::pool::state::{Inner, PoolState};
use crate::{
    budget,
    cause::Cause,
    deadline::Deadline,
    error::UnfinishedScope,
    registry::live::LiveTask,
    registry::unfinished::{Unfinished, UnfinishedReason, UnfinishedTask},
    registry::{Drain, Draining},
    telemetry::events,
};

/// A drain whose tasks all finished by themselves: what [`Pool::drain`](crate::Pool::drain) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The number of tasks that the first drain waited for, including tasks that were spawned with a reserved slot after it
    /// had started.
    ///
    /// All of them have finished: they returned, failed or panicked, or ended since the token of
    /// [`Pool::stop_with`](crate::Pool::stop_with) fired.
    pub tasks: usize,
}

/// The caller of a drain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The program: the drain returns all unfinished tasks to it.
    User,
    /// Main: it only reports tasks that no drain has returned to a caller.
    Main,
}

impl PoolState {
    pub(crate) async fn drain(&self, grace: Duration) -> Result<Drained, Unfinished> {
        self.drain_for(Caller::User, grace).await
    }

    async fn drain_for(&self, caller: Caller, grace: Duration) -> Result<Drained, Unfinished> {
        let active = ActiveDrain::start(self);
        self.close();
        budget::spent().await;
        let grace = if grace.is_zero() {
            self.cancel_for_drain().await;
            grace
        } else if self.lock().is_idle() {
            grace
        } else {
            self.finish_within(grace).await
        };
        active.finish(caller, grace)
    }

    /// Waits until the pool is idle or `grace` has passed, and cancels the tasks before that. Returns the grace, which
    /// a signal may have shortened.
    async fn finish_within(&self, grace: Duration) -> Duration {
        let started = Instant::now();
        let mut has_cancelled = false;
        loop {
            let main = Deadline::current();
            let main_remaining = main.as_ref().and_then(|main| main.remaining());
            let grace = match main_remaining {
                Some(left) => grace.min(started.elapsed().saturating_add(left)),
                None => grace,
            };
            let wait = if has_cancelled { grace } else { grace - self.options.stopping(grace) };
            let wait_until_idle = async {
                match &main {
                    Some(main) => main.before_a_signal(self.wait_until_idle()).await.is_some(),
                    None => {
                        self.wait_until_idle().await;
                        true
                    }
                }
            };
            match until(started.checked_add(wait), wait_until_idle).await {
                Some(true) => return grace,
                // A signal was received: less time may remain.
                Some(false) => {}
                None if has_cancelled => return grace,
                None => {
                    self.cancel_for_drain().await;
                    has_cancelled = true;
                }
            }
        }
    }

    /// Fires the tokens, and gives the tasks a turn.
    async fn cancel_for_drain(&self) {
        // Once the token of `stop_with` has fired, the tasks that end are not cut by the drain.
        if !self.is_stopped() {
            self.lock().drains.has_cancelled = true;
        }
        self.cancel(Cause::Drained);
        yield_now().await;
    }

    pub(crate) async fn wait_until_idle(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Registered before the check: a notification in between is not lost.
            idle.as_mut().enable();
            if self.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }
}

/// Returns `None` if `end` comes first. Without an end it waits for `work`.
async fn until<F: Future>(end: Option<Instant>, work: F) -> Option<F::Output> {
    match end {
        Some(end) => timeout_at(end, work).await.ok(),
        None => Some(work.await),
    }
}

/// A drain that has not ended.
struct ActiveDrain<'a>(&'a PoolState);

impl<'a> ActiveDrain<'a> {
    fn start(pool: &'a PoolState) -> Self {
        pool.start_drain();
        Self(pool)
    }

    /// Aborts the remaining tasks, then logs and returns the unfinished ones.
    fn finish(self, caller: Caller, grace: Duration) -> Result<Drained, Unfinished> {
        let mut state = self.0.lock();
        let live: Vec<_> = state.live().cloned().collect();
        let not_returned = state.not_finished.not_returned().to_vec();
        for record in &live {
            state.not_finished.add(record, UnfinishedReason::StillRan, true);
        }
        let Inner { drains, not_finished, reserved, .. } = &mut **state;
        drains.has_completed = true;
        let (grace, (found, more)) = match caller {
            Caller::User => {
                if !live.is_empty() {
                    drains.grace.get_or_insert(grace);
                }
                (drains.grace.unwrap_or(grace), not_finished.all())
            }
            Caller::Main => {
                // The body of main deals with the tasks that a drain returned to it, unless they still run.
                let task = |record| UnfinishedTask {
                    task: LiveTask::of(record),
                    why: UnfinishedReason::StillRan,
                };
                let live = live.iter().map(|record| task(record));
                (grace, (not_returned.into_iter().chain(live).collect(), 0))
            }
        };
        let drained = Drained { tasks: drains.tasks };
        let finished = found.len() + more + *reserved == 0;
        let scope = UnfinishedScope::Pool(self.0.place);
        let unfinished = (!finished).then(|| Unfinished::new(grace, found, more, *reserved, scope));
        let (kept, unlogged) = (not_finished.len(), not_finished.take_unlogged());
        drop(state);
        if !live.is_empty() {
            self.0.tasks.abort();
        }
        self.0.log(unlogged);
        if events::has_counted() {
            events::flush_all();
        }
        // Only after the log, which may never return: main then still reports these tasks.
        self.0.lock().not_finished.mark_returned(kept);
        unfinished.map_or(Ok(drained), Err)
    }
}

impl Drop for ActiveDrain<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.drains.active -= 1;
        let dropped = state.dropped;
        drop(state);
        if dropped {
            self.0.on_drop();
        }
    }
}

impl Drain for PoolState {
    fn drain(self: Arc<Self>, grace: Duration) -> Draining {
        Box::pin(async move {
            // If the last handle was dropped, the tasks were cancelled and aborted then, and that was logged.
            if self.lock().dropped {
                return Ok(());
            }
            self.drain_for(Caller::Main, grace).await.map(|_| ())
        })
    }

    fn belongs_to(&self, runtime: runtime::Id) -> bool {
        self.lock().runtime_id == Some(runtime)
    }

    #[cfg(any(
        feature = "axum",
        feature = "metrics",
        feature = "opentelemetry",
        feature = "prometheus"
    ))]
    fn usage(&self) -> Option<(&'static str, crate::registry::PoolUsage)> {
        let name = self.options.name()?;
        let state = self.lock();
        let in_use = state.tasks() + state.reserved;
        drop(state);
        let (slots, waiting) = (self.limit.size(), self.limit.waiting());
        Some((name, crate::registry::PoolUsage { slots, in_use, waiting }))
    }

    fn remaining(&self) -> Vec<LiveTask> {
        let state = self.lock();
        if state.dropped {
            return Vec::new();
        }
        let found = state.not_finished.not_returned();
        let mut left: Vec<_> = found.iter().map(|found| found.task.clone()).collect();
        // A task that is marked as unfinished is in `found`, unless a drain has returned it to a caller.
        let all = found.is_empty();
        let others: Vec<_> =
            state.live().filter(|record| all || !record.is_marked_unfinished()).cloned().collect();
        drop(state);
        left.extend(others.iter().map(|record| LiveTask::of(record)));
        left
    }
}
