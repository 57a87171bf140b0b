//! One share of counters for each thread, made when the thread first counts.
//!
//! Shares live in boxes of 1, 2, 4, … of them, so that an index finds its share with one shift, no
//! share ever moves, and a function that one thread runs has one share.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::threads::{self, SHARED};

/// Boxes of shares: enough for 4,095 threads at once; the threads beyond that use the shared one.
const BOXES: usize = 12;

pub(super) struct Stripes<S> {
    boxes: [OnceLock<Box<[S]>>; BOXES],
}

/// This thread's share of one function's counters.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a, S> {
    pub(super) stripe: &'a S,
    /// Whether this thread is the only one that writes it.
    own: bool,
}

/// A counter, written by one thread as a rule.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl<S: Default> Stripes<S> {
    pub(super) const fn new() -> Self {
        Self { boxes: [const { OnceLock::new() }; BOXES] }
    }

    #[inline]
    pub(super) fn here(&self, first_use: impl FnOnce()) -> Here<'_, S> {
        let number = threads::number();
        let (at, within) = place(number);
        if at >= BOXES {
            return self.share(0, 0, false, first_use);
        }
        self.share(at, within, number != SHARED, first_use)
    }

    #[inline]
    fn share(&self, at: usize, within: usize, own: bool, first_use: impl FnOnce()) -> Here<'_, S> {
        let shares = self.boxes[at].get_or_init(|| {
            first_use();
            (0..1_usize << at).map(|_| S::default()).collect()
        });
        Here { stripe: &shares[within], own }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &S> {
        self.boxes.iter().filter_map(OnceLock::get).flatten()
    }
}

/// The box of a thread's share, and the place in it.
#[inline]
fn place(number: usize) -> (usize, usize) {
    let at = (number + 1).ilog2() as usize;
    (at, number + 1 - (1 << at))
}

impl<S> Here<'_, S> {
    /// `Release`, so that who sees an end sees its start: the start was written before, on this thread
    /// or on one that handed the run over.
    #[inline]
    pub(super) fn add(&self, counter: &Counter, n: u64) {
        if self.own {
            counter.0.store(counter.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
        } else {
            counter.0.fetch_add(n, Ordering::Release);
        }
    }
}

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_place_of_its_own() {
        let places: Vec<_> = (0..7).map(place).collect();
        assert_eq!(places, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]);
    }

    #[test]
    fn nothing_is_lost_over_threads_that_come_and_go() {
        let stripes = Stripes::<Counter>::new();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..1_000 {
                            let here = stripes.here(|| ());
                            here.add(here.stripe, 1);
                        }
                    });
                }
            });
        }
        let sum: u64 = stripes.iter().map(Counter::get).sum();
        assert_eq!(sum, 20 * 8 * 1_000);
    }
}
