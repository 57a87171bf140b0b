//! The bytes that the whole process has allocated since a watch began: those asked for, whatever the
//! system's allocator rounds them to.

use std::sync::atomic::{
    AtomicBool, AtomicIsize,
    Ordering::{Relaxed, SeqCst},
};

/// Off, it is a line that nobody writes: contests for time do not pay for it.
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

/// Counts while it is there; one at a time.
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn begin() -> Self {
        LIVE.store(0, SeqCst);
        PEAK.store(0, SeqCst);
        assert!(!WATCHED.swap(true, SeqCst), "bytes are watched once at a time");
        Self(())
    }

    /// What has been allocated since, and not given back.
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
