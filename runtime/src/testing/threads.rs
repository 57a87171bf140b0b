//! How many threads a runtime has: those that run its tasks, and those of `spawn_blocking`.
//!
//! tokio counts them for itself alone, and tells when one is about to be named, and when one stops:
//!
//! 1. A thread counts from before the call that makes it returns: a `spawn_blocking` that has been called is
//!    never missed, though its thread has yet to begin.
//! 2. One that is idle stops after [`KEEP_ALIVE`]: what still counts then is busy. Workers never are idle.
//! 3. Where one stops while they are counted, no other is missed: who sees it stop sees it begin.
//!    (for every interleaving: `threads/loom.rs`)

use std::{sync::Arc, time::Duration};

use tokio::runtime::Builder;

use crate::sync::{atomic::AtomicUsize, atomic::Ordering};

#[cfg(all(test, supervised_loom))]
mod loom;

/// How long an idle thread stays. Short, since a test that is over waits for it.
const KEEP_ALIVE: Duration = Duration::from_millis(1);

/// As tokio calls them.
const NAME: &str = "tokio-rt-worker";

#[derive(Debug, Default)]
pub(crate) struct Threads {
    started: AtomicUsize,
    stopped: AtomicUsize,
}

impl Threads {
    /// Counts the threads of the runtime that is to be built.
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

    /// How many there are, or are about to be.
    pub(crate) fn live(&self) -> usize {
        // In this order: a thread that stops meanwhile is one that has begun.
        let stopped = self.stopped.load(Ordering::Acquire);
        self.started.load(Ordering::Relaxed).saturating_sub(stopped)
    }
}
