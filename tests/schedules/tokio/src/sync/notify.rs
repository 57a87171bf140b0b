//! Wakes waiters.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use schedules_std::step::step;

/// Wakes all waiters at once, which is all that the runtime needs.
#[derive(Debug, Default)]
pub struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of notifications.
    notifications: u64,
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

/// Waits for a notification after its creation.
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    notifications: u64,
    entry: Option<u64>,
}

impl Notify {
    /// A value without waiters.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a waiter.
    pub fn notified(&self) -> Notified<'_> {
        step();
        let notifications = self.state().notifications;
        Notified { notify: self, notifications, entry: None }
    }

    /// Wakes all waiters.
    pub fn notify_waiters(&self) {
        step();
        let mut state = self.state();
        state.notifications += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (_, waker) in waiting {
            waker.wake();
            step();
        }
    }
}

impl Notified<'_> {
    /// Whether it was notified since its creation.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        step();
        self.notify.state().notifications != self.notifications
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        step();
        let mut state = self.notify.state();
        if state.notifications != self.notifications {
            return Poll::Ready(());
        }
        let entry = self.entry.unwrap_or(state.next);
        state.next += u64::from(self.entry.is_none());
        state.waiting.retain(|(other, _)| *other != entry);
        state.waiting.push((entry, cx.waker().clone()));
        drop(state);
        self.entry = Some(entry);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            self.notify.state().waiting.retain(|(other, _)| *other != entry);
        }
    }
}
