//! The statistics as atomics.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{BUCKETS, Statistics, Summary, bucket};

/// One atomic for each number: recording never waits, and a summary may be torn.
///
/// `Relaxed` is enough. An addition is one step under any ordering, so none is lost. While tasks record, the numbers
/// are not ordered relative to each other. A join with the recorders makes all their additions visible. All numbers
/// share a few cache lines, so recorders on several cores slow each other down, but never wait for one that was
/// preempted.
pub(crate) struct Atomics {
    lines: AtomicU64,
    words: AtomicU64,
    shortest: AtomicU64,
    longest: AtomicU64,
    histogram: [AtomicU64; BUCKETS],
}

impl Default for Atomics {
    fn default() -> Self {
        Self {
            lines: AtomicU64::new(0),
            words: AtomicU64::new(0),
            shortest: AtomicU64::new(u64::MAX),
            longest: AtomicU64::new(0),
            histogram: array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Atomics {
    /// Reads one number after another; other threads may record in `between`.
    pub(super) fn read(&self, between: impl Fn()) -> Summary {
        let lines = self.lines.load(Relaxed);
        between();
        Summary {
            lines,
            words: self.words.load(Relaxed),
            shortest: self.shortest.load(Relaxed),
            longest: self.longest.load(Relaxed),
            histogram: self.histogram.each_ref().map(|lines| lines.load(Relaxed)),
        }
    }
}

impl Statistics for Atomics {
    fn record(&self, words: u64) {
        self.lines.fetch_add(1, Relaxed);
        self.words.fetch_add(words, Relaxed);
        self.shortest.fetch_min(words, Relaxed);
        self.longest.fetch_max(words, Relaxed);
        self.histogram[bucket(words)].fetch_add(1, Relaxed);
    }

    fn summary(&self) -> Summary {
        self.read(|| {})
    }
}
