//! The state of a service that its task, the runs in it and its `Services` share: its name, its restarts, its readiness.
//!
//! A scope that belongs to a service refers to its node (`tree.rs`). So a restart is counted by the run itself, and a
//! nested `Services` finds the name of the service around it.
//!
//! Invariants
//!
//! 1. A service is ready only for the run that said so: a restart counts up `restarts`, and readiness has the count at
//!    which it was set. Otherwise a service would count as ready while it waits for its restart.
//! 2. The text of the last failure is bounded by the code that writes it (`run/output.rs`).

use std::sync::{Arc, PoisonError, Weak};

use crate::{
    panic::quietly,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The `Services` of a service.
pub(crate) trait ServiceOwner: Send + Sync {
    /// The service is ready, or its wait for a restart is over.
    fn service_changed(&self);
}

pub(crate) struct ServiceNode {
    /// With the names of the services around it: `api/cache`.
    path: Arc<str>,
    restarts: AtomicUsize,
    /// Whether the current run, or the one that it waits for, is a restart and not a tick.
    is_restart: AtomicBool,
    /// One more than `restarts` was when the service said that it is ready; 0 if it did not.
    ready: AtomicUsize,
    last_failure: Mutex<Option<Box<str>>>,
    /// Its `Services`, which waits for it to be ready.
    owner: Weak<dyn ServiceOwner>,
}

impl ServiceNode {
    pub(crate) fn new(path: Arc<str>, owner: Weak<dyn ServiceOwner>) -> Arc<Self> {
        Arc::new(Self {
            path,
            restarts: AtomicUsize::new(0),
            is_restart: AtomicBool::new(false),
            ready: AtomicUsize::new(0),
            last_failure: Mutex::new(None),
            owner,
        })
    }

    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    pub(crate) fn restarts(&self) -> usize {
        self.restarts.load(Ordering::Acquire)
    }

    /// A run has ended, and a restart follows.
    pub(super) fn on_restart(&self, error: Option<&str>) {
        self.set_last_failure(error.map(Box::from));
        self.restarts.fetch_add(1, Ordering::AcqRel);
        self.is_restart.store(true, Ordering::Release);
    }

    /// A run has succeeded, and the next tick follows.
    pub(super) fn on_tick(&self) {
        self.is_restart.store(false, Ordering::Release);
        self.wake_owner();
    }

    /// Whether a run that waits is a restart. The wait between two ticks of a periodic function is none.
    pub(crate) fn is_restart(&self) -> bool {
        self.is_restart.load(Ordering::Acquire)
    }

    /// The current run is ready.
    pub(crate) fn set_ready(&self) {
        let run = self.restarts() + 1;
        if self.ready.swap(run, Ordering::AcqRel) == run {
            return;
        }
        self.wake_owner();
    }

    /// Calls a waker, which is foreign code.
    pub(super) fn wake_owner(&self) {
        if let Some(owner) = self.owner.upgrade() {
            quietly(|| owner.service_changed());
        }
    }

    /// Whether the current run has said that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) == self.restarts() + 1
    }

    pub(crate) fn set_last_failure(&self, text: Option<Box<str>>) {
        let before = std::mem::replace(
            &mut *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner),
            text,
        );
        drop(before);
    }

    pub(crate) fn last_failure(&self) -> Option<Box<str>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
