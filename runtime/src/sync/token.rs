//! tokio-util's cancellation token, for the models.
//!
//! The part of it that the crate uses. As in tokio-util, each check and each change takes a lock; a `cancel` first
//! marks the token and its descendants, and then wakes their waiters one after the other, under no lock. A waiter
//! checks the token and stores its waker under one lock; in tokio-util it checks again after it has stored it, which is
//! equivalent.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{Mutex, MutexGuard};

#[derive(Clone, Default)]
pub struct CancellationToken(Arc<Node>);

#[derive(Default)]
struct Node(Mutex<State>);

#[derive(Default)]
struct State {
    fired: bool,
    below: Vec<CancellationToken>,
    next: u64,
    wakers: Vec<(u64, Waker)>,
}

impl CancellationToken {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn child_token(&self) -> Self {
        let child = Self::new();
        let mut state = self.state();
        if state.fired {
            child.state().fired = true;
        } else {
            state.below.push(child.clone());
        }
        child
    }

    pub fn cancel(&self) {
        let mut wakers = Vec::new();
        self.mark(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().fired
    }

    #[must_use]
    pub fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        WaitForCancellationFutureOwned { token: self, number: None }
    }

    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut cancelled = self.clone().cancelled_owned();
        let mut future = pin!(future);
        std::future::poll_fn(|cx| match Pin::new(&mut cancelled).poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => future.as_mut().poll(cx).map(Some),
        })
        .await
    }

    fn mark(&self, wakers: &mut Vec<Waker>) {
        let mut state = self.state();
        if std::mem::replace(&mut state.fired, true) {
            return;
        }
        wakers.extend(state.wakers.drain(..).map(|(_, waker)| waker));
        for child in std::mem::take(&mut state.below) {
            child.mark(wakers);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for CancellationToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CancellationToken {}

impl std::fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CancellationToken")
    }
}

pub struct WaitForCancellationFutureOwned {
    token: CancellationToken,
    /// Of its waker, once it waits.
    number: Option<u64>,
}

impl Future for WaitForCancellationFutureOwned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let token = self.token.clone();
        let mut state = token.state();
        if state.fired {
            return Poll::Ready(());
        }
        match self.number {
            Some(number) => {
                for (_, waker) in state.wakers.iter_mut().filter(|(kept, _)| *kept == number) {
                    waker.clone_from(cx.waker());
                }
            }
            None => {
                let number = state.next;
                state.next += 1;
                state.wakers.push((number, cx.waker().clone()));
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for WaitForCancellationFutureOwned {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.token.state();
        let wakers = std::mem::take(&mut state.wakers);
        let (own, others): (Vec<_>, Vec<_>) =
            wakers.into_iter().partition(|(kept, _)| *kept == number);
        state.wakers = others;
        drop(state);
        drop(own);
    }
}
