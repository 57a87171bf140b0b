//! Whether the runs of a worker take so long that other threads should take a share.

/// How long they are in sum, in nanoseconds, before a worker asks whether they are long.
const EVALUATE_AFTER: u64 = 50_000;

/// From how many nanoseconds a run a share for another thread pays.
const LONG_RUN: u64 = 1_000;

/// How much a worker's runs have computed since it last asked.
#[derive(Default)]
pub(crate) struct GrowthPolicy {
    runs: u64,
    long: u64,
    nanos: u64,
}

impl GrowthPolicy {
    /// A run has ended; how many more workers its length asks for.
    #[inline]
    pub(crate) fn on_finish(&mut self, nanos: u64) -> u64 {
        self.runs += 1;
        self.long += u64::from(nanos >= LONG_RUN);
        self.nanos += nanos;
        if self.nanos < EVALUATE_AFTER { 0 } else { self.evaluate() }
    }

    #[cold]
    fn evaluate(&mut self) -> u64 {
        let Self { runs, long, nanos } = std::mem::take(self);
        // Most of them, and not one that the system took the thread from.
        if 2 * long >= runs { nanos / EVALUATE_AFTER } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the last one of these asks for, when none before it does.
    fn workers_after_last(nanos: &[u64]) -> u64 {
        let mut policy = GrowthPolicy::default();
        let (last, before) = nanos.split_last().expect("there is a last one");
        for nanos in before {
            assert_eq!(policy.on_finish(*nanos), 0);
        }
        policy.on_finish(*last)
    }

    #[test]
    fn long_runs_request_workers_by_their_length() {
        assert_eq!(workers_after_last(&[49_999]), 0);
        assert_eq!(workers_after_last(&[50_000]), 1);
        assert_eq!(workers_after_last(&[100_000]), 2);
        assert_eq!(workers_after_last(&[49_000, 51_000]), 2);
    }

    #[test]
    fn one_long_run_among_short_ones_requests_no_worker() {
        assert_eq!(workers_after_last(&[999, 50_000]), 1);
        assert_eq!(workers_after_last(&[999, 999, 50_000]), 0);
        assert_eq!(workers_after_last(&[1_000, 999, 999, 50_000]), 1);
    }

    #[test]
    fn each_evaluation_starts_from_zero() {
        let mut policy = GrowthPolicy::default();
        assert_eq!([1, 1, 1, 50_000].map(|nanos| policy.on_finish(nanos)), [0, 0, 0, 0]);
        assert_eq!([49_999, 1_000].map(|nanos| policy.on_finish(nanos)), [0, 1]);
    }
}
