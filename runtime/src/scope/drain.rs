//! The end of a pool: it takes no new work, and lets running work finish.
//!
//! ```text
//! closed ── work finishes ── half of the grace: the token fires ── its end: what is left is aborted
//! ```
//!
//! Any number of drains may be under way, and any may be dropped: what they know is in the pool.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    runtime,
    task::yield_now,
    time::{Instant, timeout_at},
};

use super::pool_state::Shared;
use crate::{
    Cause, LiveTask, Unfinished, budget, events,
    registry::{Drain, Draining},
    run::row::Row,
};

/// What the drains of a pool share.
#[derive(Default)]
pub(super) struct Drains {
    under_way: usize,
    came_to_an_end: bool,
    /// Until every drain that is under way has told of them.
    did_not_stop: Vec<(Arc<Row>, LiveTask)>,
    told: bool,
}

impl Drains {
    pub(super) fn under_way(&self) -> bool {
        self.under_way > 0
    }

    pub(super) fn came_to_an_end(&self) -> bool {
        self.came_to_an_end
    }

    fn did_not_stop(&mut self, row: &Arc<Row>) {
        // There may be very many of them: none looks through the others.
        if row.enlist() {
            self.did_not_stop.push((row.clone(), LiveTask::of(row)));
        }
    }
}

impl Shared {
    /// A task was dropped since its own grace was spent, which it has told.
    pub(super) fn overdue(&self, row: &Arc<Row>) {
        let mut state = self.state();
        if state.drains.under_way() {
            row.tells();
            state.drains.did_not_stop(row);
        }
    }

    pub(super) async fn drain(&self, grace: Duration) -> Result<(), Unfinished> {
        let under_way = UnderWay::begin(self);
        self.close();
        budget::spent().await;
        if grace.is_zero() {
            self.stop(Cause::Drained);
            yield_now().await;
        } else if !self.state().is_idle() {
            let begun = Instant::now();
            if !self.ended_by(begun.checked_add(grace / 2)).await {
                self.stop(Cause::Drained);
                self.ended_by(begun.checked_add(grace)).await;
            }
        }
        under_way.end(grace)
    }

    /// Whether nothing is left before the end comes; one that no clock can tell never does.
    async fn ended_by(&self, end: Option<Instant>) -> bool {
        match end {
            Some(end) => timeout_at(end, self.all_ended()).await.is_ok(),
            None => {
                self.all_ended().await;
                true
            }
        }
    }

    pub(super) async fn all_ended(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Heard from now on, also while it looks.
            idle.as_mut().enable();
            if self.state().is_idle() {
                return;
            }
            idle.await;
        }
    }
}

/// A drain that has not ended.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn begin(pool: &'a Shared) -> Self {
        pool.state().drains.under_way += 1;
        Self(pool)
    }

    /// Aborts what is left, and tells of it.
    fn end(self, grace: Duration) -> Result<(), Unfinished> {
        let mut state = self.0.state();
        let left: Vec<_> = state.live().cloned().collect();
        let drains = &mut state.drains;
        for row in &left {
            drains.did_not_stop(row);
        }
        drains.came_to_an_end = true;
        drains.told = true;
        let tasks: Vec<_> = drains.did_not_stop.iter().map(|(_, task)| task.clone()).collect();
        let reserved = state.reserved;
        drop(state);
        if !left.is_empty() {
            self.0.abort();
        }
        for row in left.into_iter().filter(|row| row.tells()) {
            let task = LiveTask::of(&row);
            events::not_drained(task.name, task.id, &task, grace);
        }
        if tasks.is_empty() && reserved == 0 {
            return Ok(());
        }
        Err(Unfinished::new(grace, tasks, reserved))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let drains = &mut state.drains;
        drains.under_way -= 1;
        let surplus = if !drains.under_way() && drains.told {
            drains.told = false;
            drains.did_not_stop.iter().for_each(|(row, _)| row.delist());
            std::mem::take(&mut drains.did_not_stop)
        } else {
            Vec::new()
        };
        let abandoned = state.abandoned;
        drop(state);
        drop(surplus);
        if abandoned {
            self.0.abandon();
        }
    }
}

impl Drain for Shared {
    fn drain(self: Arc<Self>, grace: Duration) -> Draining {
        Box::pin(async move {
            // It was cancelled and aborted with its last handle, and that was told.
            if self.state().abandoned { Ok(()) } else { Self::drain(&self, grace).await }
        })
    }

    fn belongs_to(&self, runtime: runtime::Id) -> bool {
        self.state().home == Some(runtime)
    }

    fn left(&self) -> Vec<LiveTask> {
        let state = self.state();
        let drains = &state.drains;
        let mut left: Vec<_> = drains.did_not_stop.iter().map(|(_, task)| task.clone()).collect();
        let others: Vec<_> = state.live().filter(|row| !row.is_enlisted()).cloned().collect();
        drop(state);
        left.extend(others.iter().map(|row| LiveTask::of(row)));
        left
    }
}
