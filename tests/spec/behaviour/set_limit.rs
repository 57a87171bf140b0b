//! A limit that changes while its function runs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::Barrier;
use tokio_supervised::{CancellationToken, TaskError, map, set_limit, supervised};

use crate::behaviour::gate::{Gate, gate};
use testkit::{in_time, stats_of, turn};

#[tokio::test]
async fn a_larger_limit_starts_waiting_runs_at_once() {
    #[supervised(limit = 1, name = "set_limit: larger")]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let (gate, mut keeper) = gate();
    let runs: Vec<_> = (0..3).map(|_| tokio::spawn(gated(token.clone(), gate.clone()))).collect();
    keeper.started(1).await;
    turn().await;
    assert!(keeper.none_has_started(), "one at a time");

    set_limit("set_limit: larger", 3).unwrap();
    keeper.started(2).await;
    assert_eq!(stats_of("set_limit: larger").limit, Some(3));
    keeper.open(3);
    for run in runs {
        in_time(run).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_smaller_limit_starts_nothing_until_the_surplus_has_ended() {
    #[supervised(limit = 3, name = "set_limit: smaller")]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let (gate, mut keeper) = gate();
    let runs: Vec<_> = (0..5).map(|_| tokio::spawn(gated(token.clone(), gate.clone()))).collect();
    keeper.started(3).await;
    set_limit("set_limit: smaller", 1).unwrap();
    assert_eq!(stats_of("set_limit: smaller").running, 3);

    for left in [2, 1] {
        keeper.open(1);
        while stats_of("set_limit: smaller").running > left {
            turn().await;
        }
        turn().await;
        assert!(keeper.none_has_started(), "{left} still run");
    }
    keeper.open(1);
    keeper.started(1).await;
    turn().await;
    assert!(keeper.none_has_started(), "one at a time from now on");
    keeper.open(2);
    for run in runs {
        in_time(run).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn frequent_limit_changes_lose_and_duplicate_no_permit() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static PEAK: AtomicUsize = AtomicUsize::new(0);

    #[supervised(limit = 4, name = "set_limit: storm")]
    async fn counted(together: Option<Arc<Barrier>>) -> Result<(), TaskError> {
        PEAK.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
        match together {
            Some(barrier) => _ = barrier.wait().await,
            None => turn().await,
        }
        RUNNING.fetch_sub(1, SeqCst);
        Ok(())
    }

    let token = CancellationToken::new();
    counted(&token, None).await.unwrap();
    let done = CancellationToken::new();
    let resizer = tokio::spawn(done.clone().run_until_cancelled_owned(async {
        for change in 0_usize.. {
            set_limit("set_limit: storm", 1 + (change * 5) % 9).unwrap();
            turn().await;
        }
    }));
    let all = |count, together: Option<Arc<Barrier>>| {
        let run = |_| tokio::spawn(counted(token.clone(), together.clone()));
        let runs: Vec<_> = (0..count).map(run).collect();
        async {
            for run in runs {
                in_time(run).await.unwrap().unwrap();
            }
        }
    };
    all(5_000, None).await;
    done.cancel();
    in_time(resizer).await.unwrap();
    assert!(PEAK.load(SeqCst) <= 9, "never more than the largest limit");

    // Exactly this many runs can be active together; fewer would hang.
    for limit in [5, 2, 9] {
        set_limit("set_limit: storm", limit).unwrap();
        PEAK.store(0, SeqCst);
        all(limit * 4, Some(Arc::new(Barrier::new(limit)))).await;
        assert_eq!(PEAK.load(SeqCst), limit);
    }
}

#[tokio::test]
async fn a_running_map_follows_a_larger_limit() {
    #[supervised(limit = 1, name = "set_limit: map")]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let (gate, mut keeper) = gate();
    let items = vec![gate; 6];
    let all = tokio::spawn(map(&token, items, gated));
    keeper.started(1).await;
    turn().await;
    assert!(keeper.none_has_started(), "one at a time");
    set_limit("set_limit: map", 3).unwrap();
    keeper.open(1);
    // The end of one run finds that three are allowed.
    keeper.started(3).await;
    turn().await;
    assert!(keeper.none_has_started(), "three at a time");
    keeper.open(5);
    in_time(all).await.unwrap().unwrap();
}

#[test]
fn invalid_calls_of_set_limit_are_errors() {
    #[supervised(name = "set_limit: unlimited")]
    async fn unlimited() -> Result<(), TaskError> {
        Ok(())
    }

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(unlimited(&CancellationToken::new())).unwrap();
    let message = |name, limit| set_limit(name, limit).unwrap_err().to_string();
    assert_eq!(
        message("set_limit: unlimited", 0),
        "the limit of `set_limit: unlimited` must not be 0: no task could run"
    );
    assert_eq!(
        message("set_limit: none", 1),
        "no supervised function named `set_limit: none` has run yet: set its limit after its first run"
    );
    assert_eq!(
        message("set_limit: unlimited", 1),
        "`set_limit: unlimited` has no `limit` to change: add one to its attribute"
    );
}
