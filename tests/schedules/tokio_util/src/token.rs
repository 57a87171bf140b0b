//! A tree of tokens.
//!
//! Invariants, those of tokio-util 0.7.20 that the runtime relies on
//!
//! 1. A cancellation first marks the token and all its descendants, at once.
//! 2. Then it wakes one waiter after the other, without a lock: between two of them other tasks may run, and a
//!    woken task may do anything with any token.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Poll, Waker},
};

use schedules_std::step::step;

use crate::sync::{WaitForCancellationFuture, WaitForCancellationFutureOwned};

/// Before it is read, cloned or dropped, another task may run.
pub struct CancellationToken(Arc<Node>);

pub(crate) struct Node {
    state: Mutex<State>,
    /// A parent lives as long as its children.
    _parent: Option<Arc<Self>>,
}

#[derive(Default)]
struct State {
    is_cancelled: bool,
    below: Vec<Weak<Node>>,
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Node {
    fn new(parent: Option<Arc<Self>>, is_cancelled: bool) -> Arc<Self> {
        let state = Mutex::new(State { is_cancelled, ..State::default() });
        Arc::new(Self { state, _parent: parent })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a waiter to the others.
    fn mark(&self, woken: &mut Vec<Waker>) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_cancelled, true) {
            return;
        }
        woken.extend(state.waiting.drain(..).map(|(_, waker)| waker));
        let below = std::mem::take(&mut state.below);
        drop(state);
        below.iter().filter_map(Weak::upgrade).for_each(|node| node.mark(woken));
    }

    /// Whether it has fired; otherwise the waker is stored under a number.
    pub(crate) fn poll(&self, entry: &mut Option<u64>, waker: &Waker) -> Poll<()> {
        step();
        let mut state = self.state();
        if state.is_cancelled {
            return Poll::Ready(());
        }
        let number = entry.unwrap_or(state.next);
        state.next += u64::from(entry.is_none());
        state.waiting.retain(|(other, _)| *other != number);
        state.waiting.push((number, waker.clone()));
        *entry = Some(number);
        Poll::Pending
    }

    pub(crate) fn forget(&self, entry: u64) {
        step();
        let mut state = self.state();
        let place = state.waiting.iter().position(|(other, _)| *other == entry);
        let waker = place.map(|place| state.waiting.remove(place));
        drop(state);
        drop(waker);
    }
}

impl CancellationToken {
    /// Creates a token without a parent.
    pub fn new() -> Self {
        Self(Node::new(None, false))
    }

    /// Creates a token that fires with this one.
    pub fn child_token(&self) -> Self {
        step();
        let mut state = self.0.state();
        let child = Node::new(Some(self.0.clone()), state.is_cancelled);
        state.below.retain(|node| node.strong_count() > 0);
        state.below.push(Arc::downgrade(&child));
        Self(child)
    }

    /// Fires.
    pub fn cancel(&self) {
        step();
        let mut woken = Vec::new();
        self.0.mark(&mut woken);
        for waker in woken {
            step();
            waker.wake();
        }
    }

    /// Whether it has fired.
    pub fn is_cancelled(&self) -> bool {
        step();
        self.0.state().is_cancelled
    }

    /// Waits until it has fired.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        WaitForCancellationFuture::new(&self.0)
    }

    /// The same.
    pub fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        WaitForCancellationFutureOwned::new(self)
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0
    }

    /// Until it fires: checked first at the first poll, and last at all others.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            return None;
        }
        let mut fired = std::pin::pin!(self.cancelled());
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => fired.as_mut().poll(cx).map(|()| None),
        })
        .await
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for CancellationToken {
    fn clone(&self) -> Self {
        step();
        Self(self.0.clone())
    }
}

impl Drop for CancellationToken {
    fn drop(&mut self) {
        step();
    }
}

impl PartialEq for CancellationToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CancellationToken {}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_cancelled = self.0.state().is_cancelled;
        f.debug_struct("CancellationToken").field("is_cancelled", &is_cancelled).finish()
    }
}
