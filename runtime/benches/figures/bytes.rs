//! Counts the bytes that the whole process has allocated since a measurement started: the requested sizes, before the
//! allocator rounds them up.

use std::sync::atomic::{
    AtomicBool, AtomicIsize,
    Ordering::{Relaxed, SeqCst},
};

/// While it is off, only one shared line is read: contests for time do not pay for counting.
static WATCHED: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

#[inline]
pub(crate) fn grown(by: usize) {
    if WATCHED.load(Relaxed) {
        let live = LIVE.fetch_add(by as isize, Relaxed) + by as isize;
        PEAK.fetch_max(live, Relaxed);
    }
}

#[inline]
pub(crate) fn shrunk(by: usize) {
    if WATCHED.load(Relaxed) {
        LIVE.fetch_sub(by as isize, Relaxed);
    }
}

/// Counts while it exists; one at a time.
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn begin() -> Self {
        LIVE.store(0, SeqCst);
        PEAK.store(0, SeqCst);
        assert!(!WATCHED.swap(true, SeqCst), "bytes are watched once at a time");
        Self(())
    }

    /// The bytes that have been allocated since, and not freed.
    pub(crate) fn live(&self) -> f64 {
        LIVE.load(SeqCst) as f64
    }
}

/// The most that it was since this was asked before.
pub(crate) fn next_peak() -> f64 {
    PEAK.swap(LIVE.load(SeqCst), SeqCst) as f64
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, SeqCst);
    }
}
