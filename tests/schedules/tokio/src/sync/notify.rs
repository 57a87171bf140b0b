//! Wakes who waits.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use schedules_std::step::step;

/// Wakes who waits, as the runtime needs it: all at once.
#[derive(Debug, Default)]
pub struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How often it has told.
    told: u64,
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

/// Waits to be told from the moment that it is made.
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    told: u64,
    entry: Option<u64>,
}

impl Notify {
    /// Nobody waits.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits from now on.
    pub fn notified(&self) -> Notified<'_> {
        step();
        let told = self.state().told;
        Notified { notify: self, told, entry: None }
    }

    /// Wakes all who wait.
    pub fn notify_waiters(&self) {
        step();
        let mut state = self.state();
        state.told += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (_, waker) in waiting {
            waker.wake();
            step();
        }
    }
}

impl Notified<'_> {
    /// Whether it was told already; it hears from its making on.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        step();
        self.notify.state().told != self.told
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        step();
        let mut state = self.notify.state();
        if state.told != self.told {
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
