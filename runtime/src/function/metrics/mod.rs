//! The counters of one supervised function.
//!
//! Invariants
//!
//! 1. In the steady state a counter's cache line is written by one thread: each thread has its own
//!    [`Stripe`]. If a thread has none (it is ending, or there are too many threads), or if the runs of the function
//!    have a thread each, a shared one takes atomic additions.
//! 2. `running` is derived, never stored: ends are stored with `Release` and read, with `Acquire`, before starts. A
//!    read that sees an end also sees its start, so `running` is never negative.
//!
//! `stripes/loom.rs` and `threads/loom.rs` check 1 for every interleaving, `loom.rs` 2.

pub(crate) mod histogram;
#[cfg(all(test, supervised_loom))]
mod loom;
pub(crate) mod stripes;
pub(crate) mod threads;

use crate::function::metrics::histogram::Histogram;

use crate::function::metrics::histogram::Buckets;
use crate::function::metrics::stripes::LocalMetrics;
use crate::function::metrics::stripes::Stripes;

use crate::{outcome::Outcome, sync, sync::AtomicU64, sync::atomic::Ordering};

/// All that is counted, striped over the threads that count.
pub(crate) struct Metrics {
    stripes: Stripes<Stripe>,
    /// The polls that were reported to block their worker. The thread that reports them counts them.
    slow_polls: AtomicU64,
}

/// One thread's share.
#[derive(Default)]
pub(crate) struct Stripe {
    started: stripes::Counter,
    ended: [stripes::Counter; Outcome::ALL.len()],
    waits_begun: stripes::Counter,
    waits_ended: stripes::Counter,
    restarts: stripes::Counter,
    durations: Buckets,
    permit_waits: Buckets,
}

/// The sums over all threads, at one moment.
pub(crate) struct Totals {
    pub(crate) started: u64,
    pub(crate) ended: [u64; Outcome::ALL.len()],
    pub(crate) waiting: u64,
    pub(crate) restarts: u64,
    pub(crate) slow_polls: u64,
    pub(crate) durations: Histogram,
    pub(crate) permit_waits: Histogram,
}

impl Metrics {
    sync::const_fn! {
        pub(crate) const fn new() -> Self {
            Self { stripes: Stripes::new(), slow_polls: AtomicU64::new(0) }
        }
    }

    sync::const_fn! {
        /// For runs that have a thread each, which costs more than an addition that others see.
        pub(crate) const fn shared() -> Self {
            Self { stripes: Stripes::shared(), slow_polls: AtomicU64::new(0) }
        }
    }

    /// This thread's share; `first_use` runs when this thread is the first of its size class.
    #[inline]
    pub(crate) fn local_metrics(&self, first_use: impl FnOnce()) -> LocalMetrics<'_, Stripe> {
        self.stripes.local_metrics(first_use)
    }

    pub(crate) fn record_slow_poll(&self) {
        self.slow_polls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals {
            started: 0,
            ended: [0; Outcome::ALL.len()],
            waiting: 0,
            restarts: 0,
            slow_polls: self.slow_polls.load(Ordering::Relaxed),
            durations: Histogram::empty(),
            permit_waits: Histogram::empty(),
        };
        let mut waits_ended = 0;
        for stripe in self.stripes.iter() {
            for (sum, ended) in totals.ended.iter_mut().zip(&stripe.ended) {
                *sum += ended.get();
            }
            waits_ended += stripe.waits_ended.get();
            totals.restarts += stripe.restarts.get();
            stripe.durations.add_to(&mut totals.durations);
            stripe.permit_waits.add_to(&mut totals.permit_waits);
        }
        let mut waits_begun: u64 = 0;
        for stripe in self.stripes.iter() {
            totals.started += stripe.started.get();
            waits_begun += stripe.waits_begun.get();
        }
        totals.waiting = waits_begun.saturating_sub(waits_ended);
        totals
    }
}

impl Totals {
    /// Adds those of another function.
    #[cfg(any(feature = "metrics", feature = "opentelemetry", feature = "prometheus"))]
    pub(crate) fn add(&mut self, other: &Self) {
        self.started += other.started;
        for (sum, ended) in self.ended.iter_mut().zip(other.ended) {
            *sum += ended;
        }
        self.waiting += other.waiting;
        self.restarts += other.restarts;
        self.slow_polls += other.slow_polls;
        self.durations.add(&other.durations);
        self.permit_waits.add(&other.permit_waits);
    }

    /// Runs whose body is running.
    pub(crate) fn running(&self) -> u64 {
        self.started.saturating_sub(self.ended.iter().sum())
    }
}

impl LocalMetrics<'_, Stripe> {
    #[inline]
    pub(crate) fn record_start(&self) {
        self.add(&self.counters().started, 1);
    }

    #[inline]
    pub(crate) fn record_end(&self, outcome: Outcome) {
        self.add(&self.counters().ended[outcome as usize], 1);
    }

    #[inline]
    pub(crate) fn record_duration(&self, nanos: u64) {
        self.observe(&self.counters().durations, nanos);
    }

    pub(crate) fn record_restart(&self) {
        self.add(&self.counters().restarts, 1);
    }

    pub(crate) fn record_wait_start(&self) {
        self.add(&self.counters().waits_begun, 1);
    }

    pub(crate) fn record_wait_end(&self) {
        self.add(&self.counters().waits_ended, 1);
    }

    #[inline]
    pub(crate) fn record_wait(&self, nanos: u64) {
        self.observe(&self.counters().permit_waits, nanos);
    }

    #[inline]
    fn observe(&self, buckets: &Buckets, nanos: u64) {
        let (bucket, sum) = buckets.at(nanos);
        self.add(bucket, 1);
        self.add(sum, nanos);
    }
}
