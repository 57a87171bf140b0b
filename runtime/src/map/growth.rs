//! When a map starts another worker: all rules of it.
//!
//! A map starts with one worker, which reads the first item: the iterator may block. It gets another one when that
//! would help:
//!
//! 1. A run pends: another one can run meanwhile ([`GrowthPolicy::on_pending`]).
//! 2. Runs take long, in sum and each: other threads can take a share ([`GrowthPolicy::on_finish`]).
//! 3. No item was read for a while, and no worker is without a run: the runs compute. The map's own future checks this
//!    for the first microseconds ([`StallPolicy::on_stall`]), then the watch thread does ([`Capacity::on_check`]).
//! 4. The function's limit was raised ([`Capacity::on_limit_changed`]).
//!
//! Each rule applies only if the limit has room and there may be more to read ([`Capacity::has_room`]). Runs that are
//! ready at once stay on one thread, without contention for the map's lock.

use std::task::Context;

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::coop::has_budget_remaining,
};

use crate::{clock::Ticks, function::limit::Limit};

/// The nanoseconds that a worker's runs take in sum before it evaluates whether they are long.
const EVALUATE_AFTER: u64 = 50_000;

/// The nanoseconds from which a run is worth a share for another thread.
pub(crate) const LONG_RUN: u64 = 1_000;

/// The nanoseconds without a read item after which the runs are assumed to compute.
const STALLED_AFTER: u64 = 20_000;

/// The rules that a worker applies to its runs.
#[derive(Default)]
pub(crate) struct GrowthPolicy {
    runs: u64,
    long: u64,
    nanos: u64,
    /// The current run has been pending, and a worker was requested for it.
    pended: bool,
}

impl GrowthPolicy {
    /// A run was made.
    #[inline]
    pub(crate) fn on_start(&mut self) {
        self.pended = false;
    }

    /// A run has ended. Returns how many more workers its length requests.
    #[inline]
    pub(crate) fn on_finish(&mut self, nanos: u64) -> usize {
        if self.pended {
            return 0;
        }
        self.runs += 1;
        self.long += u64::from(nanos >= LONG_RUN);
        self.nanos += nanos;
        if self.nanos < EVALUATE_AFTER { 0 } else { self.evaluate() }
    }

    #[cold]
    fn evaluate(&mut self) -> usize {
        let Self { runs, long, nanos, .. } = std::mem::take(self);
        // Most of them, and not one that the system took the thread from.
        let wanted = if 2 * long >= runs { nanos / EVALUATE_AFTER } else { 0 };
        usize::try_from(wanted).unwrap_or(usize::MAX)
    }

    /// The run is pending. Returns whether to request a worker: once for each run.
    pub(crate) fn on_pending(&mut self, cx: &Context<'_>) -> bool {
        if self.pended {
            return false;
        }
        self.pended = has_budget_remaining();
        if !self.pended {
            // Without budget everything pends, which says nothing about the run: decide at the next poll.
            cx.waker().wake_by_ref();
        }
        self.pended
    }
}

/// How many workers a map may have.
#[derive(Clone, Copy)]
pub(crate) enum WorkerLimit {
    Fixed(usize),
    /// The function's own limit, which may change.
    OfFunction(&'static Limit),
}

impl WorkerLimit {
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Fixed(size) => size,
            Self::OfFunction(limit) => limit.size(),
        }
    }
}

/// After how many checks without an item an input that waits is not watched any more: about a second.
const WAITING_CHECKS: u8 = 125;

/// How many workers a map has, and whether it may get more. Under the lock of the map's state.
pub(crate) struct Capacity {
    pub(crate) workers: usize,
    /// The workers that have not asked for an item yet.
    pub(crate) starting: usize,
    pub(crate) limit: WorkerLimit,
    /// The iterator's `size_hint` says that it has no more: not worth another worker.
    hint_is_zero: bool,
    /// The map's own future is to start one more worker.
    pub(crate) requested: bool,
    pub(crate) is_watched: bool,
    /// The checks of the watch thread since an item was read, while the input waits.
    waiting_checks: u8,
}

impl Capacity {
    /// Of a map with its first worker, which knows no limit before its first run.
    pub(crate) const fn new() -> Self {
        Self {
            workers: 1,
            starting: 0,
            limit: WorkerLimit::Fixed(1),
            hint_is_zero: false,
            requested: false,
            is_watched: false,
            waiting_checks: 0,
        }
    }

    /// Whether a map that may read more may have another worker.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        !self.hint_is_zero && self.workers < self.limit.size()
    }

    /// The iterator was asked whether it has more.
    pub(crate) fn on_hint(&mut self, has_more: bool) {
        self.hint_is_zero |= !has_more;
    }

    /// A worker is about to be spawned.
    pub(crate) fn add_worker(&mut self) {
        self.workers += 1;
        self.starting += 1;
    }

    /// The watch thread checks the map. Returns `None` if it is not to be watched any more, else whether a worker is
    /// requested: nothing was read since the last check, and no worker is about to read. With `may_wait`, a map whose
    /// input waits for long is not watched until the next item is read.
    pub(crate) fn on_check(
        &mut self,
        has_room: bool,
        is_idle: bool,
        may_wait: bool,
        items_read: usize,
        last_check: &mut usize,
    ) -> Option<bool> {
        let stands = items_read == std::mem::replace(last_check, items_read);
        let waits = may_wait && is_idle && stands;
        self.waiting_checks = if waits { self.waiting_checks + 1 } else { 0 };
        if !has_room || self.waiting_checks == WAITING_CHECKS {
            self.waiting_checks = 0;
            self.is_watched = false;
            return None;
        }
        let computes = !is_idle && stands;
        self.requested |= computes;
        Some(computes)
    }

    /// The limit of a function has changed. Returns whether a worker is requested.
    pub(crate) fn on_limit_changed(&mut self, has_room: bool) -> bool {
        self.requested = has_room && matches!(self.limit, WorkerLimit::OfFunction(_));
        self.requested
    }
}

/// The progress of the map since the last poll of the map's future.
pub(crate) struct Progress {
    pub(crate) items_read: usize,
    /// A worker has no run: it reads next.
    pub(crate) is_idle: bool,
    /// One more worker was requested.
    pub(crate) requested: bool,
    /// The watch thread is to check the map from now on.
    pub(crate) to_watch: bool,
}

/// The next action of the map's own future.
pub(crate) enum StallCheck {
    /// It checks again at once.
    Again,
    WhenWoken,
    /// It starts another worker.
    Grow,
}

/// The rules that the map's own future applies when it is polled.
///
/// At first it polls itself again, for some microseconds, until an item was read: if the first runs compute, nothing
/// else would start another worker. From then on the watch thread wakes it.
pub(crate) struct StallPolicy {
    done: bool,
    /// Whether other threads could take a share. Otherwise the watch thread is of no use.
    pub(crate) multi_thread: bool,
    /// How many items had been read at the last count, and since when.
    items_read: usize,
    since: Ticks,
}

impl StallPolicy {
    pub(crate) fn new() -> Self {
        let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        Self {
            done: false,
            multi_thread: flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread),
            items_read: 1,
            since: Ticks::NEVER,
        }
    }

    /// The map has room, and has not ended.
    pub(crate) fn on_stall(&mut self, progress: &Progress) -> StallCheck {
        if progress.requested {
            return StallCheck::Grow;
        }
        // A worker that has no run yet wakes this future when it has one.
        if self.done || progress.is_idle {
            return StallCheck::WhenWoken;
        }
        if !self.multi_thread || progress.items_read > self.items_read {
            self.done = true;
            return StallCheck::WhenWoken;
        }
        if self.since.is_never() {
            self.since = Ticks::now();
        }
        if self.since.elapsed_nanos() < STALLED_AFTER {
            return StallCheck::Again;
        }
        // The item that the new worker reads ends no run.
        self.items_read = progress.items_read + 1;
        self.since = Ticks::NEVER;
        StallCheck::Grow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many workers the last of these runs requests; those before it request none.
    fn workers_after_last(nanos: &[u64]) -> usize {
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

    #[test]
    fn a_run_that_pended_requests_nothing_at_its_end() {
        let mut policy = GrowthPolicy::default();
        policy.on_start();
        assert!(policy.on_pending(&Context::from_waker(std::task::Waker::noop())));
        assert!(!policy.on_pending(&Context::from_waker(std::task::Waker::noop())), "once");
        assert_eq!(policy.on_finish(100_000), 0);
        policy.on_start();
        assert_eq!(policy.on_finish(100_000), 2);
    }

    #[test]
    fn a_map_without_progress_or_reader_is_stalled() {
        let mut capacity = Capacity::new();
        let mut last = 0;
        assert_eq!(
            capacity.on_check(true, false, false, 1, &mut last),
            Some(false),
            "one was read"
        );
        assert_eq!(
            capacity.on_check(true, true, false, 1, &mut last),
            Some(false),
            "one is reading"
        );
        assert!(!std::mem::take(&mut capacity.requested));
        assert_eq!(capacity.on_check(true, false, false, 1, &mut last), Some(true));
        assert!(std::mem::take(&mut capacity.requested));
        assert_eq!(capacity.on_check(false, false, false, 1, &mut last), None);
    }

    #[test]
    fn an_input_that_waits_is_not_watched_for_ever() {
        let (mut capacity, mut last) = (Capacity::new(), 0);
        for _ in 0..10_000 {
            assert_eq!(capacity.on_check(true, true, false, 7, &mut last), Some(false));
        }
        assert!((0..200).any(|_| capacity.on_check(true, true, true, 7, &mut last).is_none()));
        assert!((0..50).all(|_| capacity.on_check(true, true, true, 7, &mut last).is_some()));
    }
}
