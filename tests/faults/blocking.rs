//! Blocking closures: one runs on the only thread, one of a group and one of a pool wait for it, and a fault
//! occurs.
//!
//! A running closure cannot be stopped. The gate opens after the fault, and all must end.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use tokio::runtime::Builder;
use tokio_supervised::{CancellationToken, Group, Pool};

use crate::{counters::Counters, load::Failed};
use testkit::watched;

const NAME: &str = "faults: blocks";

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Fired,
    /// The group is dropped unjoined, and the pool undrained.
    Dropped,
    /// The tasks that join the group and drain the pool are aborted.
    Aborted,
    /// The drain has a grace of zero.
    NoGrace,
    ShutDown,
    Panics,
}

const ALL: [Fault; 7] = [
    Fault::None,
    Fault::Fired,
    Fault::Dropped,
    Fault::Aborted,
    Fault::NoGrace,
    Fault::ShutDown,
    Fault::Panics,
];

/// When the fault occurs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    AtOnce,
    /// One runs, the others wait for its thread.
    Begun,
    /// All have ended.
    Ended,
}

#[test]
fn closures_end_and_are_counted_however_their_scope_ends() {
    watched(|| {
        let counters = Counters::of(&[NAME]);
        for fault in ALL {
            for stage in [Stage::AtOnce, Stage::Begun, Stage::Ended] {
                for _ in 0..20 {
                    run(&counters, fault, stage);
                }
            }
        }
    });
}

fn run(counters: &Counters, fault: Fault, stage: Stage) {
    let when = &format!("{fault:?}, {stage:?}");
    let runtime =
        Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let (loads, token) = (counters.loads(), CancellationToken::new());
    let (group, pool) = (Group::<u32, Failed>::new(&token), Pool::new(2));
    let (sender, has_started) = mpsc::channel();
    let (opens, gate) = mpsc::channel::<()>();
    runtime.block_on(async {
        let load = loads.held();
        let first = move |_: CancellationToken| {
            let _load = load;
            _ = sender.send(());
            _ = gate.recv();
            assert!(!matches!(fault, Fault::Panics), "as asked");
            Ok(0)
        };
        group.spawn_blocking(NAME, first).await;
        let (load, other) = (loads.held(), loads.held());
        group.spawn_blocking(NAME, move |_| Ok(load).map(|_| 1)).await;
        let in_the_pool = move |_: CancellationToken| Ok::<_, Failed>(other).map(|_| ());
        pool.spawn_blocking(NAME, in_the_pool).await.expect("the gate or pool is open");
    });
    if stage != Stage::AtOnce {
        has_started.recv().unwrap();
    }
    let mut opens = Some(opens);
    if stage == Stage::Ended {
        drop(opens.take());
        until_all_is_over(counters, when);
    }
    match fault {
        Fault::None | Fault::Panics => {
            drop(opens.take());
            let (joined, drained) = (runtime.block_on(group.join()), drain(&pool, 60));
            runtime.block_on(drained).expect("its closure has ended");
            match fault {
                Fault::Panics => _ = joined.unwrap_err(),
                _ => assert_eq!(joined.unwrap(), [0, 1]),
            }
        }
        Fault::Fired => {
            token.cancel();
            drop(opens.take());
            _ = runtime.block_on(group.join());
        }
        Fault::Dropped => drop((group, pool)),
        Fault::Aborted => {
            let joining = runtime.spawn(group.join());
            let draining = runtime.spawn(drain(&pool, 60));
            joining.abort();
            draining.abort();
            _ = runtime.block_on(async { (joining.await, draining.await) });
        }
        Fault::NoGrace => {
            let drained = runtime.block_on(drain(&pool, 0));
            assert!(
                stage != Stage::Ended || drained.is_ok(),
                "{when}: nothing is left: {drained:?}"
            );
            drop(group);
        }
        // Otherwise it would wait for the running closure.
        Fault::ShutDown => {
            runtime.shutdown_background();
            drop(opens);
            until_all_is_over(counters, when);
            return counters.must_balance(when);
        }
    }
    drop(opens);
    until_all_is_over(counters, when);
    drop(runtime);
    counters.must_balance(when);
}

fn drain(
    pool: &Pool,
    seconds: u64,
) -> impl Future<Output = Result<tokio_supervised::Drained, tokio_supervised::Unfinished>> + Send + 'static
{
    let pool = pool.clone();
    async move { pool.drain(Duration::from_secs(seconds)).await }
}

/// Longer than any test takes, however busy the machine, and shorter than the watchdog, which cannot report what is
/// left.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn until_all_is_over(counters: &Counters, when: &str) {
    let started = Instant::now();
    while let Some(complaint) = counters.complaint() {
        assert!(started.elapsed() < PATIENCE, "{when}: {complaint}");
        std::thread::yield_now();
    }
}
