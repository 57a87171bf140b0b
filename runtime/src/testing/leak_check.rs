//! What lives in a runtime, and should not.
//!
//! Invariants
//!
//! 1. What is blamed was there at the last of the looks, and at none of them was everything gone.
//! 2. A count that others change meanwhile errs to the side of the one who is judged: too many before,
//!    too few now.
//! 3. tokio's own count lags behind the registry: a record is gone before its task is.

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
    testing::attempts::{Attempts, Pauses, Summary},
    testing::leaks::Leaks,
    testing::threads::Threads,
};

/// Tells whether code has left tasks behind in the runtime that it runs in.
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
/// What lived when the check was made is ignored. [`#[supervised::test]`](macro@crate::supervised::test) has
/// such a check at its end; this one is for any other async code: a test of another kind, a soak test, the
/// end of a stage.
///
/// # What it sees
///
/// Supervised tasks by name, on workers, of `spawn_local` and of `spawn_blocking`; other tasks of the runtime
/// by their number: a task of before that ends meanwhile hides one that was left behind. Not seen are
/// blocking threads of `tokio::task::spawn_blocking`, since only who builds a runtime can count them, tasks of
/// another runtime, and tasks of tokio's own in a `LocalSet`.
///
/// The first check of a process lets each spawn note its runtime from then on, which costs it some
/// nanoseconds.
#[derive(Debug)]
#[must_use = "a check that nobody verifies finds nothing"]
pub struct LeakCheck {
    runtime: Handle,
    /// The records of before, by their addresses: as long as one is known here, no other has its address.
    before: HashMap<usize, Weak<TaskRecord>>,
    unsupervised_before: usize,
    ignored: Vec<String>,
    test: Option<Test>,
}

/// The runtime is a test's own, and nothing else is in it.
#[derive(Debug)]
struct Test {
    name: &'static str,
    threads: Arc<Threads>,
}

/// What one look found.
pub(crate) struct Found {
    records: Vec<Arc<TaskRecord>>,
    unsupervised: usize,
    threads: usize,
}

impl LeakCheck {
    /// Ignores what lives in the current runtime now.
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
            // One without an id is being spawned.
            is_here && record.thread() == OnThread::Worker && record.id().is_some()
        };
        let unsupervised_before = alive.saturating_sub(all.iter().filter(is_counted).count());
        let before = all.iter().map(|record| (address(record), Arc::downgrade(record))).collect();
        Self { runtime, before, unsupervised_before, ignored: Vec::new(), test: None }
    }

    /// Of all that is in a test's own runtime.
    pub(crate) fn of_test(name: &'static str, runtime: Handle, threads: Arc<Threads>) -> Self {
        Self {
            runtime,
            before: HashMap::new(),
            unsupervised_before: 0,
            ignored: Vec::new(),
            test: Some(Test { name, threads }),
        }
    }

    /// Ignores tasks of that `name`, whenever they begin.
    pub fn ignore(mut self, name: impl Into<String>) -> Self {
        self.ignored.push(name.into());
        self
    }

    /// Checks at once, and if something is left, 20 times more in the next 0.43 s, at growing intervals: a task that
    /// ends a moment late is no leak. If nothing is left, it takes no time. May be called again.
    ///
    /// On a machine that has no processor to spare, it takes longer, up to 10 s: an interval that ends late, since the
    /// system has not run this process, is repeated.
    ///
    /// Between two checks it yields to the runtime, then pauses its thread: it uses no timer, so that paused
    /// time stays where it is. On a runtime with one thread the other tasks pause with it.
    ///
    /// # Errors
    ///
    /// [`Leaks`], with what is left at the last look.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has looked less often, and changed nothing.
    pub async fn verify(&self) -> Result<(), Leaks> {
        budget::spent().await;
        let mut attempts = Attempts::new();
        let mut pauses = Pauses::new();
        while let Some(left) = self.check_once(&mut attempts) {
            tokio::task::yield_now().await;
            if !pauses.pause(left.threads_needed()) {
                return Err(self.blame(&left, attempts.finish()));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The same for a runtime that goes on elsewhere.
    pub(crate) fn verify_from_outside(
        &self,
        mut attempts: Attempts,
        first: Found,
    ) -> Result<(), Leaks> {
        let (mut pauses, mut found) = (Pauses::new(), Some(first));
        while let Some(left) = found {
            if !pauses.pause(left.threads_needed()) {
                return Err(self.blame(&left, attempts.finish()));
            }
            found = self.check_once(&mut attempts);
        }
        Ok(())
    }

    /// Nothing where nothing is left.
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
    /// How many threads have to run before it can all be gone, at most.
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
