//! tokio's semaphore, for the models.
//!
//! What of it `limit.rs` uses, with the orderings of `tokio::sync::batch_semaphore`: a free permit is taken by a
//! compare-and-swap (`AcqRel`); one that comes back goes to the first who waits, under the lock of the queue, and
//! else to the free ones (`Release`), under that lock too; who is about to wait looks again under the lock. So
//! no permit is free while someone waits, and who waits is served first come, first served. tokio's own models
//! check that tokio's does this.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use super::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) struct Semaphore {
    free: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
    /// To whom a permit was given that they have not fetched.
    given: Vec<u64>,
}

/// As tokio's: it has not left the count yet.
pub(crate) struct Taken;

impl Taken {
    pub(crate) fn forget(self) {}
}

impl Semaphore {
    pub(crate) const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    pub(crate) fn const_new(permits: usize) -> Self {
        Self { free: AtomicUsize::new(permits), queue: Mutex::default() }
    }

    pub(crate) fn try_acquire(&self) -> Result<Taken, ()> {
        let one_less = |free: usize| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        taken.map(|_| Taken).map_err(drop)
    }

    pub(crate) async fn acquire(&self) -> Result<Taken, ()> {
        Acquire { semaphore: self, number: None }.await;
        Ok(Taken)
    }

    pub(crate) fn add_permits(&self, permits: usize) {
        let mut queue = self.queue();
        let served = permits.min(queue.waiting.len());
        let (served, wakers): (Vec<_>, Vec<_>) = queue.waiting.drain(..served).unzip();
        self.free.fetch_add(permits - served.len(), Ordering::Release);
        queue.given.extend(served);
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn forget_permits(&self, permits: usize) -> usize {
        let less = |free: usize| Some(free.saturating_sub(permits));
        let before = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        before.map_or(0, |free| free.min(permits))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Acquire<'a> {
    semaphore: &'a Semaphore,
    /// In the queue, once it is in it.
    number: Option<u64>,
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.number.is_none() && self.semaphore.try_acquire().is_ok() {
            return Poll::Ready(());
        }
        let semaphore = self.semaphore;
        let mut queue = semaphore.queue();
        let Some(number) = self.number else {
            if semaphore.try_acquire().is_ok() {
                return Poll::Ready(());
            }
            let number = queue.next;
            queue.next += 1;
            queue.waiting.push_back((number, cx.waker().clone()));
            self.number = Some(number);
            return Poll::Pending;
        };
        if let Some(index) = queue.given.iter().position(|given| *given == number) {
            queue.given.swap_remove(index);
            self.number = None;
            return Poll::Ready(());
        }
        for (waiting, waker) in &mut queue.waiting {
            if *waiting == number {
                waker.clone_from(cx.waker());
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut queue = self.semaphore.queue();
        queue.waiting.retain(|(waiting, _)| *waiting != number);
        let unfetched = queue.given.contains(&number);
        queue.given.retain(|given| *given != number);
        drop(queue);
        if unfetched {
            self.semaphore.add_permits(1);
        }
    }
}
