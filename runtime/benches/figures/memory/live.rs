//! Bytes of a live task whose future holds a kibibyte: row 5.

use std::{hint::black_box, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, supervised};
use tokio_util::task::TaskTracker;

use super::gate::{Gate, TASKS};
use crate::{
    bytes::Watch,
    report::{self, Goal},
    settings::Settings,
    spread::Ratio,
};

async fn hold(gate: Arc<Gate>) -> Result<(), TaskError> {
    let kept = black_box([7_u8; 1024]);
    gate.wait().await;
    black_box(&kept);
    Ok(())
}

#[supervised]
async fn supervised_hold(gate: Arc<Gate>) -> Result<(), TaskError> {
    let kept = black_box([7_u8; 1024]);
    gate.wait().await;
    black_box(&kept);
    Ok(())
}

async fn bare() -> f64 {
    let gate = Gate::shut();
    let watch = Watch::begin();
    for _ in 0..TASKS {
        drop(tokio::spawn(hold(gate.clone())));
    }
    gate.bytes_of_each(watch).await
}

async fn by_hand() -> f64 {
    let (gate, token) = (Gate::shut(), CancellationToken::new());
    let (permits, tracker) = (Arc::new(Semaphore::new(TASKS as usize)), TaskTracker::new());
    let watch = Watch::begin();
    for _ in 0..TASKS {
        let permit = permits.clone().try_acquire_owned().expect("there are enough");
        let (gate, token) = (gate.clone(), token.clone());
        tracker.spawn(async move {
            let run = AssertUnwindSafe(hold(gate)).catch_unwind();
            _ = black_box(token.run_until_cancelled(run).await);
            drop(permit);
        });
    }
    let bytes = gate.bytes_of_each(watch).await;
    tracker.close();
    tracker.wait().await;
    bytes
}

async fn in_a_group() -> f64 {
    let gate = Gate::shut();
    let watch = Watch::begin();
    let group = Group::new(&CancellationToken::new());
    for _ in 0..TASKS {
        group.spawn(|token| supervised_hold(token, gate.clone())).await;
    }
    let bytes = gate.bytes_of_each(watch).await;
    group.join().await.expect("no task fails");
    bytes
}

async fn in_a_pool() -> f64 {
    let gate = Gate::shut();
    let watch = Watch::begin();
    let pool = Pool::new(TASKS as usize);
    for _ in 0..TASKS {
        pool.spawn(|token| supervised_hold(token, gate.clone())).await.expect("the pool is open");
    }
    let bytes = gate.bytes_of_each(watch).await;
    pool.drain(Duration::from_secs(60)).await.expect("no task is stuck");
    bytes
}

pub(crate) fn run(settings: &Settings) {
    report::row(5, &format!("bytes of each of {TASKS} live tasks, future of 1 KiB"));
    let runtime = settings.all_cores();
    // One-time allocations of the runtime and the process happen now.
    _ = runtime.block_on(async { bare().await + in_a_group().await + in_a_pool().await });
    let of_bare = runtime.block_on(bare());
    report::bytes("tokio::spawn", of_bare);
    report::bytes("TaskTracker + Semaphore + token + catch_unwind", runtime.block_on(by_hand()));
    let ours = [("Group", runtime.block_on(in_a_group())), ("Pool", runtime.block_on(in_a_pool()))];
    for (scope, bytes) in ours {
        report::bytes(scope, bytes);
        let ratio = Ratio::exactly(bytes / of_bare);
        report::ratio(&format!("{scope} to tokio::spawn"), &ratio, Goal::AtMost(1.25));
    }
}
