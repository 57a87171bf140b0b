//! Permits, first come, first served.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use schedules_std::step::step;

/// As tokio's: a permit that is given back goes to who waits longest.
#[derive(Debug)]
pub struct Semaphore(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    waiting: VecDeque<Waiting>,
    /// They have a permit, and have not taken it yet.
    granted: Vec<u64>,
}

#[derive(Debug)]
struct Waiting {
    entry: u64,
    waker: Waker,
}

/// It is never closed here.
#[derive(Debug)]
pub enum AcquireError {}

/// None is free.
#[derive(Debug)]
pub struct NoPermits;

impl fmt::Display for NoPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no permits available")
    }
}

/// A permit; given back when it is dropped.
#[derive(Debug)]
pub struct SemaphorePermit<'a>(&'a Semaphore);

impl SemaphorePermit<'_> {
    /// It is not given back.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl Semaphore {
    /// As many as there may be.
    pub const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    /// With so many permits.
    pub const fn const_new(free: usize) -> Self {
        let waiting = VecDeque::new();
        Self(Mutex::new(State { free, next: 0, waiting, granted: Vec::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is free now. Who waits has been given what was free.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, NoPermits> {
        step();
        let mut state = self.state();
        state.free = state.free.checked_sub(1).ok_or(NoPermits)?;
        Ok(SemaphorePermit(self))
    }

    /// Waits for one.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire { semaphore: self, entry: None }
    }

    /// Puts more in.
    pub fn add_permits(&self, permits: usize) {
        step();
        let woken = self.state().add(permits);
        for waker in woken {
            waker.wake();
            step();
        }
    }

    /// Takes free ones away for good, and says how many there were.
    pub fn forget_permits(&self, permits: usize) -> usize {
        step();
        let mut state = self.state();
        let forgotten = permits.min(state.free);
        state.free -= forgotten;
        forgotten
    }
}

impl State {
    fn add(&mut self, permits: usize) -> Vec<Waker> {
        let given = permits.min(self.waiting.len());
        self.free += permits - given;
        let woken = self.waiting.drain(..given).map(|Waiting { entry, waker }| {
            self.granted.push(entry);
            waker
        });
        woken.collect()
    }

    /// Whether it was there.
    fn take_granted(&mut self, entry: u64) -> bool {
        let place = self.granted.iter().position(|other| *other == entry);
        place.map(|place| self.granted.swap_remove(place)).is_some()
    }
}

/// Waits for a permit.
#[derive(Debug)]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    entry: Option<u64>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        step();
        let semaphore = self.semaphore;
        let mut state = semaphore.state();
        let has_one = match self.entry {
            Some(entry) => state.take_granted(entry),
            None => match state.free.checked_sub(1) {
                Some(free) => {
                    state.free = free;
                    true
                }
                None => false,
            },
        };
        if has_one {
            self.entry = None;
            return Poll::Ready(Ok(SemaphorePermit(semaphore)));
        }
        let waker = cx.waker().clone();
        match self.entry {
            Some(entry) => {
                let own = state.waiting.iter_mut().find(|waiting| waiting.entry == entry);
                own.expect("who has no permit is in the queue").waker = waker;
            }
            None => {
                let entry = state.next;
                state.next += 1;
                state.waiting.push_back(Waiting { entry, waker });
                self.entry = Some(entry);
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(entry) = self.entry else { return };
        let mut state = self.semaphore.state();
        state.waiting.retain(|waiting| waiting.entry != entry);
        if state.take_granted(entry) {
            drop(state);
            self.semaphore.add_permits(1);
        }
    }
}
