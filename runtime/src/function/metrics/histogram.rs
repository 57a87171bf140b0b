//! Durations in buckets of 1, 2, 5 times a power of ten, from 10 µs to 100 s.
//!
//! The bounds are round numbers for readers, the same for every function, and can be merged across machines. Between
//! one power of two and the next there is at most one bound: finding a bucket takes a table lookup and one comparison.
//!
//! A bucket and the sum are counters like any other: between two reads neither decreases, and a read may see a duration
//! in one of them before it is in the other. `function/metrics/loom.rs` checks it for every interleaving.

use std::time::Duration;

use crate::function::metrics::stripes::Counter;

const BOUNDS: [u64; 22] = {
    let mut bounds = [0; 22];
    let mut at = 0;
    let mut power = 10_000;
    while at < bounds.len() {
        bounds[at] = power * [1, 2, 5][at % 3];
        if at % 3 == 2 {
            power *= 10;
        }
        at += 1;
    }
    bounds
};

/// One bucket for each bound, and one for longer durations.
const BUCKETS: usize = BOUNDS.len() + 1;

/// For each number of significant bits, the first bucket that such a duration can be in.
const FIRST: [u8; 65] = {
    let mut first = [0; 65];
    let mut bits = 1;
    while bits <= 64 {
        let smallest = 1_u64 << (bits - 1);
        let mut at = 0;
        while at < BOUNDS.len() && smallest > BOUNDS[at] {
            at += 1;
        }
        first[bits] = at as u8;
        bits += 1;
    }
    first
};

/// One thread's counts.
#[derive(Default)]
pub(crate) struct Buckets {
    counts: [Counter; BUCKETS],
    sum_nanos: Counter,
}

impl Buckets {
    /// The counters that a duration goes into: its bucket, and the sum.
    #[inline]
    pub(crate) fn at(&self, nanos: u64) -> (&Counter, &Counter) {
        (&self.counts[bucket(nanos)], &self.sum_nanos)
    }

    pub(crate) fn add_to(&self, total: &mut Histogram) {
        for (sum, count) in total.counts.iter_mut().zip(&self.counts) {
            *sum += count.get();
        }
        total.sum_nanos = total.sum_nanos.wrapping_add(self.sum_nanos.get());
    }
}

#[inline]
fn bucket(nanos: u64) -> usize {
    if nanos <= BOUNDS[0] {
        return 0;
    }
    let bits = 64 - nanos.leading_zeros() as usize;
    let first = FIRST[bits] as usize;
    match BOUNDS.get(first) {
        Some(bound) if nanos > *bound => first + 1,
        _ => first,
    }
}

/// How durations are distributed: counts below fixed bounds, and their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_nanos: u64,
}

impl Histogram {
    pub(crate) fn empty() -> Self {
        Self { counts: [0; BUCKETS], sum_nanos: 0 }
    }

    #[cfg(any(feature = "metrics", feature = "opentelemetry", feature = "prometheus"))]
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.sum_nanos = self.sum_nanos.wrapping_add(other.sum_nanos);
    }

    /// How many durations were observed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos)
    }

    /// The buckets: an inclusive upper bound (`None` for the last, which has none) and the number of
    /// durations up to it that are not in the bucket before.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|nanos| Some(Duration::from_nanos(*nanos)));
        bounds.chain([None]).zip(self.counts)
    }

    /// A duration that the share `q` (0.0 to 1.0) of all does not exceed: the upper bound of its bucket, so up to 2.5
    /// times the true value. `None` if nothing was observed, or if the duration is above 100 s.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bound, count) in self.buckets() {
            seen += count;
            if seen >= rank {
                return bound;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_bounds_it() {
        let interesting = BOUNDS.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
        for nanos in interesting.chain([0, 1, u64::MAX]).chain((0..64).map(|bit| 1 << bit)) {
            let slow = BOUNDS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS.len());
            assert_eq!(bucket(nanos), slow, "{nanos} ns");
        }
    }

    #[test]
    fn a_quantile_is_the_bound_of_the_bucket_that_holds_it() {
        let mut histogram = Histogram::empty();
        histogram.counts[0] = 98;
        histogram.counts[3] = 2;
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_micros(10)));
        assert_eq!(histogram.quantile(0.99), Some(Duration::from_micros(100)));
        assert_eq!(Histogram::empty().quantile(0.5), None);
    }
}
