//! Tests of the table in the module's documentation.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use super::{Atomics, Locked, Statistics, Summary, bucket};

const THREADS: u64 = 4;
const LINES: u64 = 20_000;

/// Lengths that differ from thread to thread and from line to line, 0 and long ones among them.
fn words(thread: u64, line: u64) -> u64 {
    (line * 31 + thread * 7) % 5_000
}

/// Every thread starts at the same moment, so they overlap.
fn hammer(statistics: &dyn Statistics) -> Summary {
    let together = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                for line in 0..LINES {
                    statistics.record(words(thread, line));
                }
            });
        }
    });
    statistics.summary()
}

fn sequential() -> Summary {
    let mut summary = Summary::default();
    for thread in 0..THREADS {
        (0..LINES).for_each(|line| summary.record(words(thread, line)));
    }
    summary
}

#[test]
fn a_mutex_under_four_threads_ends_with_the_sequential_answer() {
    assert_eq!(hammer(&Locked::default()), sequential());
}

#[test]
fn atomics_under_four_threads_end_with_the_sequential_answer() {
    assert_eq!(hammer(&Atomics::default()), sequential());
}

/// Reads the statistics while two threads record lines of three words, until it has seen them running twenty times.
/// Returns how many lines they recorded.
fn watch(statistics: &dyn Statistics, mut look: impl FnMut(&Summary)) -> u64 {
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let recorders = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut recorded = 0;
                while !enough.load(Relaxed) {
                    statistics.record(3);
                    recorded += 1;
                }
                recorded
            })
        });
        // A summary that panics must not leave the recorders running.
        let at_the_end = Set(&enough);
        let (mut seen_at_work, mut last) = (0, 0);
        while seen_at_work < 20 {
            let seen = statistics.summary();
            seen_at_work += u64::from(seen.lines != last);
            last = seen.lines;
            look(&seen);
        }
        drop(at_the_end);
        recorders.map(|recorder| recorder.join().unwrap()).into_iter().sum()
    })
}

/// Set when it is dropped.
struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_summary_behind_a_mutex_is_always_consistent() {
    let statistics = Locked::default();
    let recorded = watch(&statistics, |seen| {
        assert_eq!(seen.words, 3 * seen.lines);
        assert_eq!(seen.histogram[bucket(3)], seen.lines);
        assert_eq!(seen.histogram.iter().sum::<u64>(), seen.lines);
        assert_eq!((seen.shortest, seen.longest) == (3, 3), seen.lines > 0);
    });
    assert_eq!(statistics.summary().lines, recorded);
}

#[test]
fn no_atomic_decreases_or_loses_a_line() {
    let statistics = Atomics::default();
    let mut last = Summary::default();
    let recorded = watch(&statistics, |seen| {
        assert!(seen.lines >= last.lines && seen.words >= last.words, "{last:?} then {seen:?}");
        assert!(seen.shortest <= last.shortest && seen.longest >= last.longest);
        assert!(seen.histogram[bucket(3)] >= last.histogram[bucket(3)]);
        last.clone_from(seen);
    });
    let whole = statistics.summary();
    assert_eq!(
        (whole.lines, whole.words, whole.histogram[bucket(3)]),
        (recorded, 3 * recorded, recorded)
    );
}

/// A torn summary, as documented, without waiting for two threads to produce one.
#[test]
fn a_line_added_while_atomics_are_read_may_be_counted_partly() {
    let statistics = Atomics::default();
    statistics.record(3);
    let torn = statistics.read(|| statistics.record(3));
    assert_eq!((torn.lines, torn.words, torn.histogram[bucket(3)]), (1, 6, 2));
    let whole = statistics.summary();
    assert_eq!((whole.lines, whole.words, whole.histogram[bucket(3)]), (2, 6, 2));
}

#[test]
fn every_number_of_words_has_its_bucket() {
    for (words, expected) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (u64::MAX, 64)] {
        assert_eq!(bucket(words), expected, "{words}");
    }
}
