//! A limit that changes while its function runs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::Barrier;
use tokio_supervised::{
    CancellationToken, Group, Pool, SetLimit, TaskError, TrySpawnError, map, set_limit, supervised,
};

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
        message("set_limit: unlimited", 1),
        "`set_limit: unlimited` has no `limit` to change: add one to its attribute"
    );
}

#[tokio::test]
async fn a_limit_set_before_the_first_run_applies_to_it() {
    #[supervised(limit = 8, name = "set_limit: pending")]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    assert_eq!(set_limit("set_limit: pending", 3), Ok(SetLimit::Pending));
    assert_eq!(set_limit("set_limit: pending", 1), Ok(SetLimit::Pending));
    let token = CancellationToken::new();
    let (gate, mut keeper) = gate();
    let runs: Vec<_> = (0..3).map(|_| tokio::spawn(gated(token.clone(), gate.clone()))).collect();
    keeper.started(1).await;
    turn().await;
    assert!(keeper.none_has_started(), "one at a time");
    assert_eq!(stats_of("set_limit: pending").limit, Some(1));
    assert_eq!(set_limit("set_limit: pending", 3), Ok(SetLimit::Applied));
    keeper.started(2).await;
    keeper.open(3);
    for run in runs {
        in_time(run).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_pending_limit_applies_to_the_first_permit_of_a_spawn() {
    #[supervised(limit = 8, name = "set_limit: pending, group")]
    async fn in_group(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }
    #[supervised(limit = 8, name = "set_limit: pending, map")]
    async fn in_map(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }
    #[supervised(limit = 8, name = "set_limit: pending, pool")]
    async fn in_pool(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    for of in ["group", "map", "pool"] {
        let name = format!("set_limit: pending, {of}");
        assert_eq!(set_limit(&name, 2), Ok(SetLimit::Pending));
    }
    let token = CancellationToken::new();

    let (gate, mut keeper) = gate();
    let group = Group::new(&token);
    for _ in 0..2 {
        let gate = gate.clone();
        group.spawn(|token| in_group(token, gate)).await;
    }
    keeper.started(2).await;
    assert_eq!(stats_of("set_limit: pending, group").limit, Some(2));
    keeper.open(2);
    in_time(group.join()).await.unwrap();

    let all = tokio::spawn(map(&token, vec![gate.clone(); 6], in_map));
    keeper.started(2).await;
    turn().await;
    assert!(keeper.none_has_started(), "two at a time");
    keeper.open(6);
    in_time(all).await.unwrap().unwrap();

    let pool = Pool::new(8);
    for _ in 0..2 {
        let gate = gate.clone();
        pool.try_spawn(|token| in_pool(token, gate)).unwrap();
    }
    let third = gate.clone();
    let full = pool.try_spawn(|token| in_pool(token, third));
    assert!(matches!(full, Err(TrySpawnError::Full)), "{full:?}");
    keeper.open(2);
    in_time(pool.drain(std::time::Duration::from_secs(30))).await.unwrap();
}

#[test]
fn a_pending_limit_applies_to_every_function_of_the_name() {
    #[supervised(limit = 8, name = "set_limit: two")]
    async fn first() -> Result<(), TaskError> {
        Ok(())
    }
    #[supervised(limit = 8, name = "set_limit: two")]
    async fn second() -> Result<(), TaskError> {
        Ok(())
    }
    #[supervised(name = "set_limit: two")]
    async fn unlimited() -> Result<(), TaskError> {
        Ok(())
    }
    fn limits() -> Vec<Option<usize>> {
        let stats = tokio_supervised::stats();
        let named = stats.iter().filter(|task| task.name == "set_limit: two");
        named.map(|task| task.limit).collect()
    }

    assert_eq!(set_limit("set_limit: two", 5), Ok(SetLimit::Pending));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let token = CancellationToken::new();
    runtime.block_on(unlimited(&token)).unwrap();
    runtime.block_on(first(&token)).unwrap();
    assert_eq!(limits(), [None, Some(5)]);
    assert_eq!(set_limit("set_limit: two", 6), Ok(SetLimit::Applied));
    runtime.block_on(second(&token)).unwrap();
    assert_eq!(limits(), [None, Some(6), Some(6)]);
}
