//! Finds the tasks and threads that code left in a runtime.
//!
//! Invariants, checked by `tests/leaks/`
//!
//! 1. A reported leak existed at the last check, and no check found nothing. Otherwise a task that ends a moment late
//!    would fail the test.
//! 2. A count that changes while it is read errs in favour of the test: too many before, too few now.
//! 3. tokio's count lags behind the registry: a record is removed before its task is. So tokio's count is read on both
//!    sides of the registry.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use tokio::runtime::Handle;

use crate::{
    budget,
    context::tree::{Activity, OnThread, TaskRecord, watch},
    registry::snapshot::tree_of,
};
use crate::{
    testing::attempts::{Attempts, Summary},
    testing::leaks::Leaks,
    testing::threads::Threads,
};

/// Checks whether code leaked tasks in its runtime.
///
/// ```
/// use tokio_supervised::{Group, LeakCheck, TaskError, supervised};
///
/// #[supervised]
/// async fn greet() -> Result<(), TaskError> {
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let check = LeakCheck::new();
/// let group = Group::new(&tokio_supervised::CancellationToken::new());
/// group.spawn(|token| greet(token)).await;
/// group.join().await?;
/// check.verify().await?;
/// # Ok(())
/// # }
/// ```
///
/// Tasks that lived when the check was created are ignored. [`#[supervised::test]`](macro@crate::supervised::test) has
/// such a check at its end. Use this one in other async code: another kind of test, a soak test, the end of a stage.
///
/// # What it sees
///
/// It sees supervised tasks by name: on workers, of `spawn_local` and of `spawn_blocking`. It sees other tasks of the
/// runtime only as a number: an earlier task that ends during the check hides one leak. It does not see blocking
/// threads of `tokio::task::spawn_blocking` (only the builder of a runtime can count them), tasks of another runtime,
/// and unsupervised tasks in a `LocalSet`.
///
/// From the first check of a process on, each spawn records its runtime, which costs a few nanoseconds.
#[derive(Debug)]
#[must_use = "a leak check finds nothing until `verify` is awaited"]
pub struct LeakCheck {
    runtime: Handle,
    /// The earlier records, by address. The weak reference keeps the address from being reused.
    before: HashMap<usize, Weak<TaskRecord>>,
    unsupervised_before: usize,
    ignored: Vec<String>,
    test: Option<Test>,
}

/// The runtime belongs to a test, and nothing else uses it.
#[derive(Debug)]
struct Test {
    name: &'static str,
    threads: Arc<Threads>,
}

/// The findings of one check.
pub(crate) struct Found {
    records: Vec<Arc<TaskRecord>>,
    unsupervised: usize,
    threads: usize,
}

impl LeakCheck {
    /// Creates a check that ignores the tasks that live in the current runtime now.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn new() -> Self {
        watch::start();
        let runtime = Handle::current();
        let alive = || runtime.metrics().num_alive_tasks();
        let alive_first = alive();
        let all = crate::registry::snapshot::live();
        let alive = alive_first.max(alive());
        let is_counted = |record: &&Arc<TaskRecord>| {
            let is_here = record.runtime() == Some(runtime.id());
            // A record without an id is being spawned.
            is_here && record.thread() == OnThread::Worker && record.id().is_some()
        };
        let unsupervised_before = alive.saturating_sub(all.iter().filter(is_counted).count());
        let before = all.iter().map(|record| (address(record), Arc::downgrade(record))).collect();
        Self { runtime, before, unsupervised_before, ignored: Vec::new(), test: None }
    }

    /// Creates a check of everything in a test's own runtime.
    pub(crate) fn of_test(name: &'static str, runtime: Handle, threads: Arc<Threads>) -> Self {
        Self {
            runtime,
            before: HashMap::new(),
            unsupervised_before: 0,
            ignored: Vec::new(),
            test: Some(Test { name, threads }),
        }
    }

    /// Ignores tasks of that `name`, whenever they start.
    pub fn ignore(mut self, name: impl Into<String>) -> Self {
        self.ignored.push(name.into());
        self
    }

    /// If nothing is left, returns at once. Otherwise checks 20 times more in the next 0.43 s, at growing intervals: a
    /// task that ends a moment late is no leak. May be called again.
    ///
    /// On a machine without a free processor it takes longer, up to 10 s: an interval that ends late, because the
    /// system did not run this process, is repeated.
    ///
    /// Between two checks it yields to the runtime, then pauses its thread. It uses no timer, so paused time does not
    /// advance. On a runtime with one thread, the other tasks pause with it.
    ///
    /// # Errors
    ///
    /// [`Leaks`], with the tasks and threads that are left at the last check.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped check has changed nothing.
    pub async fn verify(&self) -> Result<(), Leaks> {
        budget::spent().await;
        let mut attempts = Attempts::new();
        while let Some(left) = self.check_once(&mut attempts) {
            tokio::task::yield_now().await;
            if !attempts.pause(left.threads_needed()) {
                return Err(self.blame(&left, attempts.summary()));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Verifies a runtime that another thread drives.
    pub(crate) fn verify_from_outside(
        &self,
        mut attempts: Attempts,
        first: Found,
    ) -> Result<(), Leaks> {
        let mut found = Some(first);
        while let Some(left) = found {
            if !attempts.pause(left.threads_needed()) {
                return Err(self.blame(&left, attempts.summary()));
            }
            found = self.check_once(&mut attempts);
        }
        Ok(())
    }

    /// Checks once. Returns `None` if nothing is left.
    pub(crate) fn check_once(&self, attempts: &mut Attempts) -> Option<Found> {
        attempts.record();
        let alive = || self.runtime.metrics().num_alive_tasks();
        let alive_first = alive();
        let mut records = crate::registry::snapshot::live();
        records.retain(|record| {
            record.runtime() == Some(self.runtime.id()) && record.thread() != OnThread::Entry
        });
        let alive = alive_first.min(alive());
        let on = |thread| records.iter().filter(move |record| record.thread() == thread);
        // tokio counts the tasks of its `LocalRuntime`, and not those of a `LocalSet`; here they are one.
        let maybe_counted = match self.test {
            Some(_) => 0,
            None => on(OnThread::Local).filter(|record| !self.existed_before(record)).count(),
        };
        let unsupervised = alive
            .saturating_sub(on(OnThread::Worker).count() + maybe_counted)
            .saturating_sub(self.unsupervised_before);
        let blocking = on(OnThread::Blocking)
            .filter(|record| record.activity() != Activity::NotStarted)
            .count();
        let threads = self.test.as_ref().map_or(0, |test| {
            let workers = match self.runtime.runtime_flavor() {
                tokio::runtime::RuntimeFlavor::CurrentThread => 0,
                _ => self.runtime.metrics().num_workers(),
            };
            test.threads.live().saturating_sub(workers + blocking)
        });
        records.retain(|record| !self.ignores(record));
        let found = Found { records, unsupervised, threads };
        (!found.is_nothing()).then_some(found)
    }

    fn existed_before(&self, record: &Arc<TaskRecord>) -> bool {
        self.before.contains_key(&address(record))
    }

    fn ignores(&self, record: &Arc<TaskRecord>) -> bool {
        let name = record.spec().name();
        self.existed_before(record) || self.ignored.iter().any(|known| known == name)
    }

    fn blame(&self, found: &Found, summary: Summary) -> Leaks {
        Leaks {
            test: self.test.as_ref().map(|test| test.name),
            tasks: tree_of(&found.records),
            unsupervised: found.unsupervised,
            threads: found.threads,
            summary,
        }
    }
}

impl Default for LeakCheck {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl Found {
    /// How many threads have to run before everything can end, at most.
    fn threads_needed(&self) -> usize {
        self.records.len() + self.unsupervised + self.threads
    }

    fn is_nothing(&self) -> bool {
        self.records.is_empty() && self.unsupervised == 0 && self.threads == 0
    }
}

fn address(record: &Arc<TaskRecord>) -> usize {
    Arc::as_ptr(record).addr()
}
