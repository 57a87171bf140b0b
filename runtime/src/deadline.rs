//! The deadline for drains and services in the body of main, once the process has received a signal.
//!
//! Main and the pools do not refer to each other; both use this module.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// How much of main's grace remains when the drains in its body end, for the body to return and report.
const MARGIN: Duration = Duration::from_millis(500);

/// The number of running bodies. If it is 0, a drain takes no lock.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The deadlines of the mains whose bodies run, the latest last.
static DEADLINES: Mutex<Vec<Arc<Deadline>>> = Mutex::new(Vec::new());

/// The deadline of one main.
pub(crate) struct Deadline {
    end: OnceLock<Instant>,
    /// Fires when `end` is set.
    is_set: CancellationToken,
}

impl Deadline {
    /// Registers a main whose body starts.
    pub(crate) fn start() -> Arc<Self> {
        let deadline = Arc::new(Self { end: OnceLock::new(), is_set: CancellationToken::new() });
        deadlines().push(deadline.clone());
        RUNNING.fetch_add(1, Ordering::Release);
        deadline
    }

    /// Sets the deadline: main has received a signal, and its grace starts. Calls wakers, which are foreign code.
    pub(crate) fn set(&self, grace: Duration) {
        let margin = MARGIN.min(grace / 2);
        // A grace beyond the range of the clock has no end.
        if let Some(end) = Instant::now().checked_add(grace.saturating_sub(margin)) {
            _ = self.end.set(end);
            self.is_set.cancel();
        }
    }

    /// Removes a main whose body has ended: main drains the remaining pools, within its own time limits.
    pub(crate) fn finish(self: &Arc<Self>) {
        let mut deadlines = deadlines();
        if let Some(at) = deadlines.iter().position(|deadline| Arc::ptr_eq(deadline, self)) {
            deadlines.remove(at);
            RUNNING.fetch_sub(1, Ordering::Release);
        }
    }

    /// Returns the deadline of the main whose body runs; of several, the latest.
    pub(crate) fn current() -> Option<Arc<Self>> {
        if RUNNING.load(Ordering::Acquire) == 0 {
            return None;
        }
        deadlines().last().cloned()
    }

    /// How long drains may take, once the process has received a signal.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.end.get().map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Waits for `work`. Returns `None` if the first signal comes before that.
    pub(crate) async fn before_a_signal<F: Future>(&self, work: F) -> Option<F::Output> {
        if self.end.get().is_some() {
            return Some(work.await);
        }
        self.is_set.run_until_cancelled(work).await
    }
}

fn deadlines() -> MutexGuard<'static, Vec<Arc<Deadline>>> {
    DEADLINES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_drain_leaves_half_a_second_of_the_grace() {
        for (grace, left) in [(25_000, 24_500), (1_000, 500), (400, 200)] {
            let deadline = Deadline { end: OnceLock::new(), is_set: CancellationToken::new() };
            assert_eq!(deadline.remaining(), None);
            deadline.set(Duration::from_millis(grace));
            let exact = Duration::from_millis(left);
            let measured = deadline.remaining().expect("the signal has come");
            assert!(measured <= exact && exact - measured < MARGIN / 2, "{grace}: {measured:?}");
        }
    }
}
