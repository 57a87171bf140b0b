//! Supervised functions whose futures are not `Send`, on one thread.

use std::{
    cell::RefCell,
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};

use tokio::{runtime::LocalOptions, task::LocalSet};
use tokio_supervised::{CancellationToken, Group, Outcome, Pool, TaskError, supervised};

use testkit::{in_time, outcomes_of, poll_once, runtime, turn};

type Log = Rc<RefCell<Vec<u32>>>;

/// Holds an `Rc` across an `.await`.
#[supervised(name = "local: writes")]
async fn writes(log: Log, n: u32) -> Result<u32, TaskError> {
    turn().await;
    log.borrow_mut().push(n);
    Ok(n)
}

#[supervised(name = "local: never")]
async fn never(log: Log) -> Result<u32, TaskError> {
    let _log = log;
    pending().await
}

#[test]
fn a_group_runs_local_tasks_on_its_thread() {
    let log = Log::default();
    let joined = runtime().block_on(LocalSet::new().run_until(in_time(async {
        let group = Group::new(&CancellationToken::new()).limit(2);
        let handle = group.handle();
        for n in 0..4 {
            let log = log.clone();
            handle.spawn_local(move |token| writes(token, log, n)).await.unwrap();
        }
        group.join().await
    })));
    assert_eq!(joined.unwrap(), [0, 1, 2, 3]);
    assert_eq!(log.borrow().len(), 4);
    assert_eq!(Rc::strong_count(&log), 1, "no local task is left");
}

#[test]
fn a_pool_runs_and_drains_local_tasks_on_its_thread() {
    #[supervised(name = "local: in a pool")]
    async fn in_a_pool(log: Log, n: u32) -> Result<(), TaskError> {
        turn().await;
        log.borrow_mut().push(n);
        Ok(())
    }

    let log = Log::default();
    runtime().block_on(LocalSet::new().run_until(in_time(async {
        let pool = Pool::new(2);
        for n in 0..4 {
            let log = log.clone();
            pool.spawn_local(move |token| in_a_pool(token, log, n)).await.unwrap();
        }
        let idle = log.clone();
        pool.spawn_local(move |token| never(token, idle)).await.unwrap();
        let unfinished = pool.drain(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(unfinished.cut().len(), 1, "{unfinished}");
    })));
    assert_eq!(log.borrow().len(), 4);
    assert_eq!(Rc::strong_count(&log), 1, "no local task is left");
    assert_eq!(outcomes_of("local: in a pool"), [(Outcome::Ok, 4)]);
}

#[test]
fn a_local_runtime_needs_no_local_set() {
    let local = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    let log = Log::default();
    let joined = local.block_on(in_time(async {
        let group = Group::new(&CancellationToken::new());
        group.spawn_local(|token| writes(token, log.clone(), 1)).await;
        group.join().await
    }));
    assert_eq!(joined.unwrap(), [1]);
}

#[test]
fn a_dropped_group_aborts_local_tasks() {
    let log = Log::default();
    runtime().block_on(LocalSet::new().run_until(in_time(async {
        let group = Group::new(&CancellationToken::new());
        group.spawn_local(|token| never(token, log.clone())).await;
        turn().await;
        drop(group);
        while Rc::strong_count(&log) > 1 {
            turn().await;
        }
    })));
}

#[test]
fn a_dropped_local_set_ends_its_tasks_in_the_pool() {
    let (log, pool) = (Log::default(), Pool::new(1));
    let set = LocalSet::new();
    let idle = log.clone();
    let spawned = pool.spawn_local(move |token| never(token, idle));
    runtime().block_on(set.run_until(spawned)).unwrap();
    assert_eq!(pool.len(), 1);
    drop(set);
    assert_eq!((pool.len(), Rc::strong_count(&log)), (0, 1));
}

#[test]
fn a_local_spawn_outside_of_a_local_set_panics() {
    let (log, pool) = (Log::default(), Pool::new(1));
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut spawn = Box::pin(pool.spawn_local(|token| never(token, log.clone())));
    catch_unwind(AssertUnwindSafe(|| poll_once(spawn.as_mut())))
        .expect_err("there is no local set");
    drop(spawn);
    assert_eq!((pool.len(), Rc::strong_count(&log)), (0, 1));
    drop(runtime.block_on(in_time(pool.reserve())).unwrap());
}
