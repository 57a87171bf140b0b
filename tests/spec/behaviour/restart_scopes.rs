//! Functions that restart in groups, maps, pools and tasks, and around shields.

use std::{
    cell::Cell,
    future::pending,
    io,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{task::LocalSet, time::Instant};
use tokio_supervised::{
    CancellationToken, Cause, Group, Outcome, Pool, TaskError, map, shield, stats, supervised,
};

use testkit::{in_hours, in_time, outcomes_of, runtime, stats_of, turn};

#[supervised(restart = "on-failure", name = "restart scopes: second")]
async fn second(n: u32, runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
    assert!(runs.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
    Ok(n)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_spawned() {
    let call = tokio::spawn(second(CancellationToken::new(), 1, Arc::default()));
    assert_eq!(in_time(call).await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_map_gets_the_result_of_the_last_run() {
    let token = CancellationToken::new();
    let map = map(&token, 0..100, |token, n| second(token, n, Arc::default())).limit(4);
    assert_eq!(in_time(map).await.unwrap(), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_restarted_cancels_no_sibling() {
    #[supervised(name = "restart scopes: sibling")]
    async fn sibling() -> Result<u32, TaskError> {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(2)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| second(token, 1, Arc::default())).await;
    group.spawn(sibling).await;
    assert_eq!(in_time(group.join()).await.unwrap(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_converted_for_the_group() {
    #[supervised(restart = "on-failure", name = "restart scopes: io")]
    async fn read() -> io::Result<u32> {
        Ok(1)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| read(token).err_into()).await;
    let numbers: anyhow::Result<Vec<u32>> = in_time(group.join()).await;
    assert_eq!(numbers.unwrap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_group_cancelled_during_a_backoff_returns_the_cause() {
    #[supervised(restart = "on-failure", backoff = "1h..1h", name = "restart scopes: waits")]
    async fn waits() -> Result<(), TaskError> {
        panic!("it restarts in an hour")
    }
    #[supervised(name = "restart scopes: fails")]
    async fn fails() -> Result<(), TaskError> {
        turn().await;
        panic!("the last run fails")
    }
    #[supervised(name = "restart scopes: outer")]
    async fn outer(
        token: &CancellationToken,
        seen: Arc<Mutex<Option<Cause>>>,
    ) -> Result<(), TaskError> {
        let result = waits(token).await;
        if let Err(TaskError::Cancelled(cancelled)) = &result {
            *seen.lock().unwrap() = Some(cancelled.cause());
        }
        result
    }

    let seen = Arc::new(Mutex::new(None));
    let group = Group::new(&CancellationToken::new());
    group
        .spawn({
            let seen = seen.clone();
            |token| outer(token, seen)
        })
        .await;
    group.spawn(fails).await;
    let started = Instant::now();
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.task(), "restart scopes: fails");
    assert_eq!(started.elapsed(), Duration::ZERO, "it did not wait for the backoff");
    let cause = *seen.lock().unwrap();
    assert_eq!(cause, Some(Cause::SiblingFailed { task: "restart scopes: fails" }));
    assert_eq!(outcomes_of("restart scopes: waits"), [(Outcome::Panicked, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_permit_of_the_spawn_is_held_by_the_first_run_only() {
    #[supervised(
        restart = "on-failure",
        backoff = "1h..1h",
        limit = 1,
        name = "restart scopes: permit"
    )]
    async fn work(fails: bool, runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
        let n = runs.fetch_add(1, Ordering::SeqCst);
        assert!(n > 0 || !fails, "the first run fails");
        Ok(n)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| work(token, true, Arc::default())).await;
    let started = Instant::now();
    // Waits for the permit until the first run of the first task has ended.
    group.spawn(|token| work(token, false, Arc::default())).await;
    assert_eq!(started.elapsed(), Duration::ZERO, "no permit is held during the backoff");
    assert_eq!(in_hours(group.join()).await.unwrap(), [1, 0]);
    assert_eq!(stats_of("restart scopes: permit").started, 3);
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_the_group_holds_for_every_run() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..1s",
        grace = "1h",
        name = "restart scopes: grace"
    )]
    async fn work(token: &CancellationToken, runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
        assert!(runs.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).grace(Duration::from_secs(2));
    group.spawn(|token| work(token, Arc::default())).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let started = Instant::now();
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    let ended = [(Outcome::Panicked, 1), (Outcome::Cancelled, 1)];
    assert_eq!(outcomes_of("restart scopes: grace"), ended);
}

#[tokio::test(start_paused = true)]
async fn a_drain_names_a_call_whose_last_run_spent_its_grace() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..1s",
        grace = "1s",
        name = "restart scopes: overdue"
    )]
    async fn work(token: &CancellationToken, runs: Arc<AtomicU32>) -> Result<(), TaskError> {
        assert!(runs.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
        token.cancelled().await;
        pending().await
    }

    let pool = Pool::new(1);
    pool.spawn(|token| work(token, Arc::default())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let unfinished = in_time(pool.drain(Duration::from_secs(10))).await.unwrap_err();
    let names: Vec<_> = unfinished.tasks().iter().map(|task| task.name).collect();
    assert_eq!(names, ["restart scopes: overdue"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_between_two_runs_stops_at_once_for_a_drain() {
    #[supervised(restart = "on-failure", backoff = "1h..1h", name = "restart scopes: drained")]
    async fn work() -> Result<(), TaskError> {
        panic!("it restarts in an hour")
    }

    let pool = Pool::new(1);
    pool.spawn(work).await.unwrap();
    turn().await;
    let started = Instant::now();
    let drained = in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    assert_eq!(drained.tasks, 1, "no run was cut: the last one has ended, and is in the log");
    assert_eq!(started.elapsed(), Duration::from_secs(5), "5 s before the end it is cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_shielded_timeout_restarts_after_the_section() {
    #[supervised(
        restart = "on-failure",
        timeout = "1s",
        backoff = "1s..1s",
        name = "restart scopes: shield"
    )]
    async fn work(sections: Arc<AtomicU32>) -> Result<u32, TaskError> {
        if sections.load(Ordering::SeqCst) == 1 {
            return Ok(1);
        }
        shield(Duration::from_secs(60), |_| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            sections.fetch_add(1, Ordering::SeqCst);
        })
        .await;
        pending().await
    }

    let started = Instant::now();
    assert_eq!(in_time(work(&CancellationToken::new(), Arc::default())).await.unwrap(), 1);
    assert_eq!(started.elapsed(), Duration::from_secs(6), "the section, then the backoff");
    let ended = [(Outcome::Ok, 1), (Outcome::TimedOut, 1)];
    assert_eq!(outcomes_of("restart scopes: shield"), ended);
}

#[test]
fn a_function_that_is_not_send_restarts_in_a_local_group() {
    #[supervised(restart = "on-failure", backoff = "1ms..1ms", name = "restart scopes: local")]
    async fn work(runs: Rc<Cell<u32>>) -> Result<u32, TaskError> {
        runs.set(runs.get() + 1);
        turn().await;
        assert!(runs.get() > 1, "the first run fails");
        Ok(runs.get())
    }

    let joined = runtime().block_on(LocalSet::new().run_until(in_time(async {
        let group = Group::new(&CancellationToken::new());
        group.spawn_local(|token| work(token, Rc::default())).await;
        group.join().await
    })));
    assert_eq!(joined.unwrap(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_started_run_ends_whenever_the_token_fires() {
    #[supervised(
        restart = "always",
        backoff = "1ms..2ms",
        max_restarts = "1000000/1s",
        limit = 4,
        name = "restart scopes: stress"
    )]
    async fn work(n: u64) -> anyhow::Result<u64> {
        turn().await;
        anyhow::ensure!(n % 3 > 0, "every third fails");
        Ok(n)
    }

    for round in 0..20 {
        let token = CancellationToken::new();
        let calls: Vec<_> = (0..16).map(|n| tokio::spawn(work(token.clone(), n))).collect();
        let restarts = || {
            let stats = stats();
            let stress = stats.iter().find(|task| task.name == "restart scopes: stress");
            stress.map_or(0, |task| task.restarts)
        };
        in_time(async {
            while restarts() < round * 20 {
                turn().await;
            }
        })
        .await;
        token.cancel();
        for call in calls {
            _ = in_time(call).await.unwrap();
        }
        let stats = stats_of("restart scopes: stress");
        let ended: u64 = Outcome::ALL.iter().map(|outcome| stats.ended(*outcome)).sum();
        assert_eq!((stats.started, stats.running, stats.waiting), (ended, 0, 0));
        assert_eq!(stats.limit, Some(4));
    }
}
