//! Why a scope was cancelled, and how the scopes inside learn it.
//!
//! A scope does not read its cause from the enclosing scopes, which may have been dropped. The thread that cancels
//! publishes a [`Reason`] while it fires the token, and every scope whose cancel waker fires inside that call stores
//! it. The tree of tokens guarantees that the call cancels exactly these scopes. (`tests/spec/composition/run_reports.rs`)
//!
//! Invariants
//!
//! 1. A reason explains no token that was seen uncancelled after its call had returned. Without this, a token that is
//!    cancelled later for another reason would report the first one. ([`Reason::may_explain`])
//! 2. A published reason is withdrawn when the call returns or unwinds. Without this, the next token that this thread
//!    cancels would report it. ([`Publish`])

use std::{cell::RefCell, sync::Arc};

use crate::{
    cause::Cause,
    sync,
    sync::{atomic::AtomicUsize, atomic::Ordering},
};

/// Why a scope was cancelled, shared by all scopes that one call cancels.
pub(super) struct Reason {
    pub(super) cause: Cause,
    /// The number of the call that cancelled, once it has returned; 0 before.
    returned: AtomicUsize,
}

sync::global! {
    /// How many calls that cancel for a reason have returned.
    static RETURNED: AtomicUsize = AtomicUsize::new(0);
}

sync::thread_local! {
    // The reason of the call that cancels on this thread now.
    static CANCELS_FOR: RefCell<Option<Arc<Reason>>> = const { RefCell::new(None) };
}

/// A moment at which a token was seen uncancelled.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CancelEpoch(usize);

impl CancelEpoch {
    /// The token was never seen uncancelled.
    pub(crate) const NEVER: Self = Self(0);

    /// Call it before the token is checked.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(RETURNED.load(Ordering::Acquire))
    }
}

impl Reason {
    pub(super) fn new(cause: Cause) -> Arc<Self> {
        Arc::new(Self { cause, returned: AtomicUsize::new(0) })
    }

    /// Whether it may explain a token that was seen uncancelled then: see invariant 1.
    pub(super) fn may_explain(&self, uncancelled: CancelEpoch) -> bool {
        let returned = self.returned.load(Ordering::Acquire);
        returned == 0 || returned > uncancelled.0
    }

    /// Publishes it on this thread while `fire` runs.
    pub(super) fn publish<R>(self: &Arc<Self>, fire: impl FnOnce() -> R) -> R {
        let published = Publish::new(self.clone());
        let fired = fire();
        drop(published);
        let returned = RETURNED.fetch_add(1, Ordering::AcqRel) + 1;
        _ = self.returned.compare_exchange(0, returned, Ordering::AcqRel, Ordering::Relaxed);
        fired
    }

    /// The reason that this thread publishes now.
    pub(super) fn published() -> Option<Arc<Self>> {
        CANCELS_FOR.try_with(|reasons| reasons.borrow().clone()).ok().flatten()
    }
}

/// Publishes a reason on this thread until it is dropped.
struct Publish(Option<Arc<Reason>>);

impl Publish {
    fn new(reason: Arc<Reason>) -> Self {
        Self(CANCELS_FOR.try_with(|reasons| reasons.replace(Some(reason))).ok().flatten())
    }
}

impl Drop for Publish {
    fn drop(&mut self) {
        let before = self.0.take();
        let published = CANCELS_FOR.try_with(|reasons| reasons.replace(before));
        drop(published);
    }
}
