//! One share of counters for each thread, made when the thread first counts.
//!
//! Shares are allocated in boxes of 1, 2, 4, … of them: an index finds its share with one shift, no share ever moves,
//! and a function that one thread runs has one share.
//!
//! Invariants; 1 to 3 are checked for every interleaving by `stripes/loom.rs`, 4 by `tests/spec/composition/bounds.rs`
//!
//! 1. A share has one thread at a time, which loads and stores: nothing is lost, even if a thread takes over the share
//!    of one that has ended.
//! 2. Shared ones are changed by atomic additions, which lose nothing, on any thread.
//! 3. Between two reads a counter never decreases.
//! 4. However many threads run a function, it has at most 254 shares and 8 shared ones: half a kilobyte each. A
//!    function whose every run has a separate thread (`spawn_blocking`) has one. Otherwise each function keeps a share
//!    for each thread that ever lived at once, and every reader adds all of them up.

use crate::{
    function::metrics::threads,
    function::metrics::threads::{BOXES, Place, SHARED_PLACES},
};
use crate::{
    sync,
    sync::{AtomicU64, OnceLock, atomic::Ordering},
};

pub(crate) struct Stripes<S> {
    boxes: [OnceLock<Box<[Share<S>]>>; BOXES],
    /// Whether all threads use the first share.
    is_shared: bool,
}

/// The counters of one thread, or of several.
#[repr(align(128))]
struct Share<S> {
    counters: S,
    is_shared: bool,
}

/// This thread's share of one function's counters.
pub(crate) struct LocalMetrics<'a, S>(&'a Share<S>);

impl<S> Clone for LocalMetrics<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for LocalMetrics<'_, S> {}

impl<'a, S> LocalMetrics<'a, S> {
    #[inline]
    pub(crate) fn counters(self) -> &'a S {
        &self.0.counters
    }
}

/// A counter, written by one thread as a rule.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl<S: Default> Stripes<S> {
    sync::const_fn! {
        pub(crate) const fn new() -> Self {
            Self { boxes: sync::each![OnceLock::new(); BOXES], is_shared: false }
        }
    }

    sync::const_fn! {
        /// One share for all threads.
        pub(crate) const fn shared() -> Self {
            Self { boxes: sync::each![OnceLock::new(); BOXES], is_shared: true }
        }
    }

    #[inline]
    pub(crate) fn local_metrics(&self, first_use: impl FnOnce()) -> LocalMetrics<'_, S> {
        let Place { at, within } = threads::place();
        match self.share(at, within) {
            Some(share) => LocalMetrics(share),
            None => self.make(first_use),
        }
    }

    #[inline]
    fn share(&self, at: usize, within: usize) -> Option<&Share<S>> {
        self.boxes.get(at)?.get()?.get(within)
    }

    /// The first use of the box by any thread, or this thread's first of all.
    #[cold]
    fn make(&self, first_use: impl FnOnce()) -> LocalMetrics<'_, S> {
        // A shared one is no reason for this thread to take a place.
        let Place { at, within } =
            if self.is_shared { Place::SHARED } else { threads::acquire_place() };
        let shares = self.boxes[at].get_or_init(|| {
            first_use();
            let count = match at {
                _ if self.is_shared => 1,
                0 => SHARED_PLACES,
                _ => 1 << at,
            };
            let is_shared = at == Place::SHARED.at;
            (0..count).map(|_| Share { counters: S::default(), is_shared }).collect()
        });
        LocalMetrics(&shares[within])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &S> {
        let shares = self.boxes.iter().filter_map(OnceLock::get).flatten();
        shares.map(|share| &share.counters)
    }
}

impl<S> LocalMetrics<'_, S> {
    /// `Release`: a read that sees an end sees its start, which was written before, on this thread or on one that
    /// handed the run over.
    #[inline]
    pub(crate) fn add(&self, counter: &Counter, n: u64) {
        if self.0.is_shared {
            counter.0.fetch_add(n, Ordering::Release);
        } else {
            counter.0.store(counter.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
        }
    }
}

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_start_and_finish_lose_no_count() {
        let stripes = Stripes::<Counter>::new();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..1_000 {
                            let counters = stripes.local_metrics(|| ());
                            counters.add(counters.counters(), 1);
                        }
                    });
                }
            });
        }
        let sum: u64 = stripes.iter().map(Counter::get).sum();
        assert_eq!(sum, 20 * 8 * 1_000);
    }
}
