//! One share of counters for each thread, made when the thread first counts.
//!
//! Shares live in boxes of 1, 2, 4, … of them, so that an index finds its share with one shift, no
//! share ever moves, and a function that one thread runs has one share.
//!
//! Invariants, checked for every interleaving by `stripes/loom.rs`
//!
//! 1. A share has one thread at a time, which loads and stores: nothing is lost, also where a thread takes the
//!    share of one that has ended.
//! 2. The shared one takes additions that lose nothing, whoever makes them.
//! 3. Who reads a counter twice never sees it go down.

use super::threads::{self, Place};
use crate::sync::{self, AtomicU64, OnceLock, atomic::Ordering};

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
    sync::const_fn! {
        pub(super) const fn new() -> Self {
            Self { boxes: sync::each![OnceLock::new(); BOXES] }
        }
    }

    #[inline]
    pub(super) fn here(&self, first_use: impl FnOnce()) -> Here<'_, S> {
        let Place { at, within } = threads::place();
        if let Some(stripe) = self.share(at, within) {
            return Here { stripe, own: at != Place::SHARED.at };
        }
        self.make(first_use)
    }

    #[inline]
    fn share(&self, at: usize, within: usize) -> Option<&S> {
        self.boxes.get(at)?.get()?.get(within)
    }

    /// The first use of the box by any thread, or this thread's first of all.
    #[cold]
    fn make(&self, first_use: impl FnOnce()) -> Here<'_, S> {
        let place = threads::take_place();
        let Place { at, within } = if place.at < BOXES { place } else { Place::SHARED };
        let shares = self.boxes[at].get_or_init(|| {
            first_use();
            (0..1_usize << at).map(|_| S::default()).collect()
        });
        Here { stripe: &shares[within], own: at != Place::SHARED.at }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &S> {
        self.boxes.iter().filter_map(OnceLock::get).flatten()
    }
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

#[cfg(all(test, supervised_loom))]
mod loom;

#[cfg(test)]
mod tests {
    use super::*;

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
