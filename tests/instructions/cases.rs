//! The counted cases: each does its work for a given number of units.

use std::hint::black_box;

use futures::stream;
use testkit::callgrind::mark;
use tokio::runtime::{Builder, Runtime};
use tokio_supervised::{CancellationToken, Group, Pool, Results, TaskError, map, map_stream};

use crate::work::{
    alone, awaiting, awaiting_unmarked, limited, nesting, panicking, ready, restarting, shielding,
    shielding_pending, taking, within_deadline, yielding,
};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) units: u64,
    run: fn(&Runtime, u64),
}

macro_rules! cases {
    ($($name:ident: $units:literal,)*) => {
        /// In the order in which they run.
        pub(crate) const ALL: &[Case] = &[$(Case {
            name: stringify!($name),
            units: $units,
            run: |runtime, units| runtime.block_on($name(CancellationToken::new(), units)),
        }),*];
    };
}

// Enough units that rare events, such as a spent budget, are spread evenly.
cases! {
    inline_ready: 4096,
    inline_yields: 4096,
    await_ready: 4096,
    await_ready_unmarked: 4096,
    free_permit: 4096,
    contended_permit: 1024,
    restart_unneeded: 4096,
    panic_caught: 256,
    group_spawn: 2048,
    group_spawn_token: 2048,
    group_yields: 2048,
    pool_spawn: 2048,
    pool_yields: 2048,
    map_ready: 8192,
    map_yields: 8192,
    map_token: 8192,
    map_results: 8192,
    map_unordered: 8192,
    map_results_yield: 8192,
    nested_yields: 4096,
    shield_ready: 4096,
    shield_yields: 4096,
    within_ready: 4096,
}

/// A call in the caller's task, whose body is ready at once.
async fn inline_ready(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(ready(&token, n).await);
    }
}

/// The same, its body pending once.
async fn inline_yields(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(yielding(&token, n).await);
    }
}

/// A call whose body awaits [`AWAITS`](crate::work::AWAITS) futures that are ready at once, each with its line.
async fn await_ready(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(awaiting(&token, n).await);
    }
}

/// The same without lines.
async fn await_ready_unmarked(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(awaiting_unmarked(&token, n).await);
    }
}

/// A call that takes one of 64 permits.
async fn free_permit(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(limited(&token, n).await);
    }
}

/// Two calls for one permit: one waits until the other, pending once, releases it.
async fn contended_permit(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(tokio::join!(alone(&token, n), alone(&token, n)));
    }
}

/// A call that would restart if it failed.
async fn restart_unneeded(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(restarting(&token, n).await);
    }
}

/// A call that panics, with the backtrace that the error keeps.
async fn panic_caught(token: CancellationToken, units: u64) {
    for n in 0..units {
        assert!(black_box(panicking(&token, n).await).is_err());
    }
}

/// A task of a group, from its spawn to its result.
async fn group_spawn(token: CancellationToken, units: u64) {
    let group = Group::new(&token).limit(64);
    for n in 0..units {
        group.spawn(|token| ready(token, n)).await;
    }
    assert_eq!(group.join().await.expect("no task fails").len() as u64, units);
}

/// The same, its body taking its token.
async fn group_spawn_token(token: CancellationToken, units: u64) {
    let group = Group::new(&token).limit(64);
    for n in 0..units {
        group.spawn(|token| taking(token, n)).await;
    }
    assert_eq!(group.join().await.expect("no task fails").len() as u64, units);
}

/// A task of a group whose body is pending once.
async fn group_yields(token: CancellationToken, units: u64) {
    let group = Group::new(&token).limit(64);
    for n in 0..units {
        group.spawn(|token| yielding(token, n)).await;
    }
    assert_eq!(group.join().await.expect("no task fails").len() as u64, units);
}

/// A task of a pool, from its spawn to its end.
async fn pool_spawn(_: CancellationToken, units: u64) {
    let pool = Pool::new(64);
    for n in 0..units {
        pool.spawn(move |token| ready(token, n)).await.expect("the pool is open");
    }
    pool.drain(std::time::Duration::from_secs(600)).await.expect("no task is stuck");
}

/// The same, its body pending once.
async fn pool_yields(_: CancellationToken, units: u64) {
    let pool = Pool::new(64);
    for n in 0..units {
        pool.spawn(move |token| yielding(token, n)).await.expect("the pool is open");
    }
    pool.drain(std::time::Duration::from_secs(600)).await.expect("no task is stuck");
}

/// An item of a map, whose body is ready at once.
async fn map_ready(token: CancellationToken, units: u64) {
    let results = map(&token, 0..units, ready).limit(16).await;
    assert_eq!(results.expect("no item fails").len() as u64, units);
}

/// The same, its body pending once.
async fn map_yields(token: CancellationToken, units: u64) {
    let results = map(&token, 0..units, yielding).limit(16).await;
    assert_eq!(results.expect("no item fails").len() as u64, units);
}

/// An item of a map, whose body takes its token and is ready at once.
async fn map_token(token: CancellationToken, units: u64) {
    let results = map(&token, 0..units, taking).limit(16).await;
    assert_eq!(results.expect("no item fails").len() as u64, units);
}

/// Takes all results of a map, one by one.
async fn take(mut results: Results<u64, TaskError>, units: u64) {
    let mut taken = 0;
    while let Some(result) = results.next().await {
        taken += u64::from(result.is_ok());
    }
    assert_eq!(taken, units);
}

/// A result of a stream in input order, of a body that is ready at once.
async fn map_results(token: CancellationToken, units: u64) {
    take(map_stream(&token, stream::iter(0..units), ready).limit(16).results(), units).await;
}

/// The same in any order.
async fn map_unordered(token: CancellationToken, units: u64) {
    take(map_stream(&token, stream::iter(0..units), ready).limit(16).unordered(), units).await;
}

/// The same in input order, its body pending once.
async fn map_results_yield(token: CancellationToken, units: u64) {
    take(map_stream(&token, stream::iter(0..units), yielding).limit(16).results(), units).await;
}

/// A call that awaits another one with its own token, which is pending once.
async fn nested_yields(token: CancellationToken, units: u64) {
    for n in 0..units {
        _ = black_box(nesting(&token, n).await);
    }
}

/// A shield in a run, whose section is ready at once.
async fn shield_ready(token: CancellationToken, units: u64) {
    assert_eq!(shielding(&token, units).await.expect("no section fails"), units);
}

/// The same, its section pending once.
async fn shield_yields(token: CancellationToken, units: u64) {
    assert_eq!(shielding_pending(&token, units).await.expect("no section fails"), units);
}

/// A section with a deadline in a run, ready at once.
async fn within_ready(token: CancellationToken, units: u64) {
    assert_eq!(within_deadline(&token, units).await.expect("no section fails"), units);
}

/// The counted parts of a case: its units once, then twice as many, then everything before the first unit of the
/// next case.
pub(crate) const PARTS: usize = 3;
pub(crate) const SINGLE: usize = 0;
pub(crate) const DOUBLE: usize = 1;

pub(crate) fn run_all() {
    // The default hook would print each of them.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be created");
    for case in ALL {
        (case.run)(&runtime, case.units);
        mark();
        (case.run)(&runtime, case.units);
        mark();
        (case.run)(&runtime, 2 * case.units);
        mark();
    }
}
