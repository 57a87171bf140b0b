//! The live tasks, as others see them, and the pools that are to be drained at the end of a process.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime, task::AbortHandle};

use crate::{Unfinished, UnfinishedTask, clock::Ticks, unfinished::Activity};

/// One live task.
pub(crate) struct Row {
    name: &'static str,
    place: &'static Location<'static>,
    born: Ticks,
    on_blocking_thread: bool,
    begun: AtomicBool,
    polled: AtomicBool,
    told: AtomicBool,
    /// Whether the drains of its pool have it in their list.
    listed: AtomicBool,
    /// Arrives after the spawn.
    handle: OnceLock<AbortHandle>,
}

impl Row {
    /// A task that is about to be spawned.
    pub(crate) fn new(
        name: &'static str,
        place: &'static Location<'static>,
        on_blocking_thread: bool,
    ) -> Self {
        Self {
            name,
            place,
            born: Ticks::now(),
            on_blocking_thread,
            begun: AtomicBool::new(false),
            polled: AtomicBool::new(false),
            told: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            handle: OnceLock::new(),
        }
    }

    pub(crate) fn spawned(&self, handle: AbortHandle) {
        _ = self.handle.set(handle);
    }

    /// Aborts the task, unless it is being spawned: then its handle has not arrived.
    pub(crate) fn abort(&self) {
        if let Some(handle) = self.handle.get() {
            handle.abort();
        }
    }

    /// A poll begins or ends. Its own task alone writes it.
    pub(crate) fn polled(&self, now: bool) {
        self.polled.store(now, Ordering::Relaxed);
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the code that runs now is this task's.
    pub(crate) fn runs_here(&self) -> bool {
        self.handle.get().is_some_and(|handle| Some(handle.id()) == tokio::task::try_id())
    }

    /// True once: that it did not stop is told once, however many drains find it.
    pub(crate) fn tells(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// True where it was not in the list yet. The lock of its pool is held, here and below.
    pub(crate) fn enlist(&self) -> bool {
        !self.listed.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn delist(&self) {
        self.listed.store(false, Ordering::Relaxed);
    }

    pub(crate) fn activity(&self) -> Activity {
        match (self.on_blocking_thread, self.polled.load(Ordering::Relaxed)) {
            (false, false) if !self.begun.load(Ordering::Relaxed) => Activity::NotBegun,
            (false, false) => Activity::Waits,
            (false, true) => Activity::Polled,
            (true, false) => Activity::Queued,
            (true, true) => Activity::Blocking,
        }
    }

    /// What is to be told of it.
    pub(crate) fn describe(&self, activity: Activity) -> UnfinishedTask {
        UnfinishedTask {
            name: self.name,
            id: self.handle.get().map(AbortHandle::id),
            age: Duration::from_nanos(self.born.elapsed_nanos()),
            place: self.place,
            blocks_thread: matches!(activity, Activity::Polled | Activity::Blocking),
            activity,
        }
    }
}

/// A pool, for who ends a process and knows no scopes.
pub(crate) trait Drain: Send + Sync {
    /// Takes no more work, and ends what there is within the grace.
    fn drain(self: Arc<Self>, grace: Duration) -> Draining;
    /// Whether it was made, or first used, in that runtime.
    fn belongs_to(&self, runtime: runtime::Id) -> bool;
    /// Its tasks that have not ended.
    fn live(&self) -> Vec<UnfinishedTask>;
}

pub(crate) type Draining = Pin<Box<dyn Future<Output = Result<(), Unfinished>> + Send>>;

static POOLS: Mutex<Vec<Weak<dyn Drain>>> = Mutex::new(Vec::new());

/// A pool was made. Those that are gone are swept out.
pub(crate) fn add(pool: Weak<dyn Drain>) {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|pool| pool.strong_count() > 0);
    pools.push(pool);
}

/// The pools of the process of which something is left.
pub(crate) fn pools() -> Vec<Arc<dyn Drain>> {
    let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.iter().filter_map(Weak::upgrade).collect()
}
