//! One watch over a token for all tasks of a scope, so none of them has to watch the token itself.
//!
//! Invariants
//!
//! 1. It wakes tasks, but does not decide whether the token has fired: `cancel` first marks the whole tree of tokens,
//!    and then fires one after the other. Code that has to know checks the token.
//! 2. A task that keeps its waker and then sees that the cancel waker has not fired is woken when it does: firing sets
//!    the flag first, and then takes each task's waker under that waker's lock. Otherwise the task would sleep on.
//! 3. It replaces a run's own watch only if the run has the cancel waker's token. A run that has another token, or a
//!    child, watches that, and is cancelled by either: if the cancel waker has fired, so has its token.
//! 4. It fires inside the call that fires its token, while its scope keeps the published reason: see `reason.rs`. It
//!    checks no token there: `cancel` may hold the locks of the parents.
//!
//! `tests/spec/behaviour/cancel_waker.rs` checks 1, `cancel.rs` and `group_stop.rs` the others from the outside, and
//! `tests/spec/composition/tokens.rs` 3; `cancel_waker/loom.rs` checks 1 and 2 for every interleaving.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Wake, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    context::tree::{ScopeNode, TaskRecord},
    sync::{atomic::AtomicBool, atomic::Ordering},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// The tasks that a cancel waker wakes.
pub(crate) trait WakeAll: Send + Sync {
    /// Wakes the tasks that have kept their waker.
    fn wake_tasks(&self);
}

impl WakeAll for TaskRecord {
    fn wake_tasks(&self) {
        self.wake();
    }
}

pub(crate) struct CancelWaker {
    token: CancellationToken,
    inner: Arc<Inner>,
    /// Its drop ends the watch.
    _listens: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct Inner {
    fired: AtomicBool,
    scope: Weak<ScopeNode>,
    /// The token is not the scope's, but a child of it.
    is_part: bool,
    wakes: Weak<dyn WakeAll>,
}

impl CancelWaker {
    /// Listens to the token of a scope from now on.
    pub(crate) fn new(
        token: &CancellationToken,
        scope: &Arc<ScopeNode>,
        wakes: Weak<dyn WakeAll>,
    ) -> Self {
        let is_part = !scope.has_token(token);
        let scope = Arc::downgrade(scope);
        let inner = Arc::new(Inner { fired: AtomicBool::new(false), scope, is_part, wakes });
        let mut listens = Box::pin(token.clone().cancelled_owned());
        let waker = Waker::from(inner.clone());
        let listening = std::pin::pin!(tokio::task::coop::unconstrained(listens.as_mut()));
        if listening.poll(&mut Context::from_waker(&waker)).is_ready() {
            inner.fired.store(true, Ordering::Release);
        }
        Self { token: token.clone(), inner, _listens: listens }
    }

    /// Fires it by hand: `cancel` does not reach it if an earlier waker panicked.
    #[cold]
    pub(crate) fn fire(&self) {
        self.inner.wake_by_ref();
    }

    pub(crate) fn fired(&self) -> bool {
        self.inner.fired.load(Ordering::Acquire)
    }

    /// Whether the token has fired. Takes its lock.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    pub(crate) fn is_for(&self, token: &CancellationToken) -> bool {
        self.token == *token
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(scope) = self.scope.upgrade() {
            if self.is_part {
                scope.on_part_fired();
            } else {
                scope.on_token_fired();
            }
        }
        self.fired.store(true, Ordering::Release);
        if let Some(wakes) = self.wakes.upgrade() {
            wakes.wake_tasks();
        }
    }
}
