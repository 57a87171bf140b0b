use std::{sync::Arc, time::Duration};

use loom::thread;

use crate::{
    function::metrics::threads::release_place,
    function::metrics::{Metrics, Totals},
};
use crate::{
    outcome::Outcome,
    sync::{atomic::AtomicBool, atomic::Ordering, join, model, spawn},
};

/// `running` itself would hide it.
fn assert_not_negative(totals: &Totals) {
    let ended: u64 = totals.ended.iter().sum();
    assert!(ended <= totals.started, "{ended} ended, {} started", totals.started);
}

// The reader is the last thread, since loom tries all values that a load may return, new and old, only once they are
// stored: it does not order a load before a store whose own thread has loaded in between.

/// Invariant 2.
#[test]
fn a_finished_run_is_counted_as_started() {
    model(None, || {
        let metrics = Arc::new(Metrics::new());
        let runs = spawn(&metrics, move |metrics| {
            let counters = metrics.local_metrics(|| ());
            counters.record_start();
            counters.record_end(Outcome::Ok);
            release_place();
        });
        let reads = spawn(&metrics, move |metrics| assert_not_negative(&metrics.totals()));
        join(runs);
        join(reads);
        assert_eq!(metrics.totals().running(), 0);
    });
}

/// Invariant 2.
#[test]
fn a_run_finished_elsewhere_is_counted_as_started() {
    model(Some(2), || {
        let metrics = Arc::new(Metrics::new());
        let handed_over = Arc::new(AtomicBool::new(false));
        let starts = thread::spawn({
            let (metrics, handed_over) = (metrics.clone(), handed_over.clone());
            move || {
                metrics.local_metrics(|| ()).record_start();
                handed_over.store(true, Ordering::Release);
                release_place();
            }
        });
        let ends = spawn(&metrics, move |metrics| {
            let counters = metrics.local_metrics(|| ());
            if handed_over.load(Ordering::Acquire) {
                counters.record_end(Outcome::Dropped);
            }
            release_place();
        });
        let reads = spawn(&metrics, move |metrics| assert_not_negative(&metrics.totals()));
        join(starts);
        join(ends);
        join(reads);
    });
}

#[test]
fn a_histogram_never_decreases_and_loses_nothing() {
    model(None, || {
        let metrics = Arc::new(Metrics::new());
        let observes = spawn(&metrics, move |metrics| {
            metrics.local_metrics(|| ()).record_duration(5);
            metrics.local_metrics(|| ()).record_duration(7);
            release_place();
        });
        let reads = spawn(&metrics, move |metrics| {
            let before = metrics.totals().durations;
            let after = metrics.totals().durations;
            assert!(before.count() <= after.count() && before.sum() <= after.sum());
        });
        join(observes);
        join(reads);
        let all = metrics.totals().durations;
        assert_eq!((all.count(), all.sum()), (2, Duration::from_nanos(12)));
    });
}
