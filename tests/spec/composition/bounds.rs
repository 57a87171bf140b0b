//! Whatever a client or a bug can accumulate is bounded.

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use tokio_supervised::{CancellationToken, Outcome, Pool, TaskError};

use testkit::{fixture, memory::resident_kilobytes};

/// As many as tokio starts for blocking work.
const THREADS: usize = 512;

#[test]
fn counters_of_blocking_closures_are_bounded() {
    fixture::child_passes("composition::bounds::fixture_blocking_closures");
}

#[tokio::test]
#[ignore = "fixture of another test"]
async fn fixture_blocking_closures() {
    const CLOSURES: usize = 60;
    let names: Vec<&'static str> = (0..CLOSURES).map(|n| &*format!("closure {n}").leak()).collect();
    let pool = Pool::new(THREADS);
    // The memory of the threads themselves.
    for _ in 0..10 {
        on_all_threads(&pool, "the first", |_| ()).await;
    }
    let before = resident_kilobytes();
    for name in names {
        on_all_threads(&pool, name, |_| ()).await;
    }
    let after = resident_kilobytes();
    let each = after.saturating_sub(before) / CLOSURES;
    assert!(each < 60, "{each} kB for each closure that {THREADS} threads have run");
    let counted =
        tokio_supervised::stats().iter().map(|stats| stats.ended(Outcome::Ok)).sum::<u64>();
    assert_eq!(counted, (THREADS * (CLOSURES + 10)) as u64);
}

#[test]
fn counters_of_functions_on_blocking_threads_are_bounded() {
    fixture::child_passes("composition::bounds::fixture_functions_on_blocking_threads");
}

macro_rules! functions {
    ($module:ident: $($name:ident)*) => {
        mod $module {
            use tokio_supervised::{CancellationToken, supervised};

            $(#[supervised] async fn $name() {})*

            pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];

            pub(super) async fn all(token: CancellationToken) {
                $($name(&token).await;)*
            }
        }
    };
}

functions!(warm_up: w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19 w20);
functions!(measured: f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19 f20);

#[tokio::test]
#[ignore = "fixture of another test"]
async fn fixture_functions_on_blocking_threads() {
    assert_eq!(warm_up::NAMES.len(), measured::NAMES.len(), "the stacks have equal depth");
    let pool = Pool::new(THREADS);
    let runtime = tokio::runtime::Handle::current();
    for _ in 0..10 {
        let runtime = runtime.clone();
        on_all_threads(&pool, "warm up", move |token| runtime.block_on(warm_up::all(token))).await;
    }
    let before = resident_kilobytes();
    on_all_threads(&pool, "measured", move |token| runtime.block_on(measured::all(token))).await;
    let after = resident_kilobytes();
    let each = after.saturating_sub(before) / measured::NAMES.len();
    assert!(each < 200, "{each} kB for each function that {THREADS} threads have run");
    let stats = tokio_supervised::stats();
    for name in measured::NAMES {
        let counted = stats.iter().find(|stats| stats.name == *name).unwrap();
        assert_eq!(counted.ended(Outcome::Ok), THREADS as u64, "no run is lost");
    }
}

/// Runs the closure once on every thread: none continues before all have arrived.
async fn on_all_threads(
    pool: &Pool,
    name: &'static str,
    work: impl Fn(CancellationToken) + Clone + Send + 'static,
) {
    let barrier = Arc::new(Barrier::new(THREADS));
    for _ in 0..THREADS {
        let (barrier, work) = (barrier.clone(), work.clone());
        let closure = move |token| {
            barrier.wait();
            work(token);
            Ok::<_, TaskError>(())
        };
        pool.spawn_blocking(name, closure).await.unwrap();
    }
    while !pool.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
