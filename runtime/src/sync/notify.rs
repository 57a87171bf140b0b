//! tokio's `Notify`, for the models.
//!
//! The subset that the crate uses: `notify_waiters` wakes the waiters that were enabled or polled before it, and is not
//! remembered. Both take one lock, as in tokio.

use std::{
    future::Future,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use super::{Mutex, MutexGuard};

pub(crate) struct Notify(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    waiting: Vec<(u64, Option<Waker>)>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, number: None }
    }

    pub(crate) fn notify_waiters(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        waiting.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    /// Once it is registered.
    number: Option<u64>,
}

impl Notified<'_> {
    pub(crate) fn enable(mut self: Pin<&mut Self>) {
        self.poll_notified(None);
    }

    /// Returns whether it was notified.
    fn poll_notified(&mut self, waker: Option<&Waker>) -> bool {
        let mut state = self.notify.state();
        match self.number {
            None => {
                let number = state.next;
                state.next += 1;
                state.waiting.push((number, waker.cloned()));
                self.number = Some(number);
                false
            }
            Some(number) => match state.waiting.iter_mut().find(|(other, _)| *other == number) {
                Some((_, kept)) => {
                    *kept = waker.cloned();
                    false
                }
                None => true,
            },
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_notified(Some(cx.waker())) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.notify.state();
        let waiting = std::mem::take(&mut state.waiting);
        let (own, others) =
            waiting.into_iter().partition::<Vec<_>, _>(|(other, _)| *other == number);
        state.waiting = others;
        drop(state);
        drop(own);
    }
}
