//! Counts the threads of a runtime: its workers, and those of `spawn_blocking`.
//!
//! tokio does not publish the count. It calls back when a thread is about to be named, and when one stops.
//!
//! Invariants
//!
//! 1. A thread counts before the call that creates it returns. Otherwise a `spawn_blocking` whose thread has not started
//!    would be missed.
//! 2. An idle thread stops after [`KEEP_ALIVE`], so a thread that still counts then is busy. Workers do not idle out.
//! 3. A count never misses a thread because another one stops meanwhile: the stops are read before the starts. (for
//!    every interleaving: `threads/loom.rs`)

use std::{sync::Arc, time::Duration};

use tokio::runtime::Builder;

use crate::sync::{atomic::AtomicUsize, atomic::Ordering};

#[cfg(all(test, supervised_loom))]
mod loom;

/// How long an idle thread stays. Short: the end of a test waits for it.
const KEEP_ALIVE: Duration = Duration::from_millis(1);

/// The name that tokio gives its threads.
const NAME: &str = "tokio-rt-worker";

#[derive(Debug, Default)]
pub(crate) struct Threads {
    started: AtomicUsize,
    stopped: AtomicUsize,
}

impl Threads {
    /// Counts the threads of the runtime that `builder` builds.
    pub(crate) fn of(builder: &mut Builder) -> Arc<Self> {
        let threads = Arc::new(Self::default());
        let (started, stopped) = (threads.clone(), threads.clone());
        builder
            .thread_keep_alive(KEEP_ALIVE)
            .thread_name_fn(move || {
                started.on_start();
                NAME.to_owned()
            })
            .on_thread_stop(move || stopped.on_stop());
        threads
    }

    fn on_start(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    fn on_stop(&self) {
        self.stopped.fetch_add(1, Ordering::Release);
    }

    /// Returns the number of threads, including threads that are about to start.
    pub(crate) fn live(&self) -> usize {
        // In this order: a thread that stops in between has started.
        let stopped = self.stopped.load(Ordering::Acquire);
        self.started.load(Ordering::Relaxed).saturating_sub(stopped)
    }
}
