//! Groups: spawns, limits, results.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::sync::{Barrier, Notify};
use tokio_supervised::{CancellationToken, Group, Outcome, SpawnError, TaskError, supervised};

use testkit::{in_time, outcomes_of, poll_once, stats_of, turn};

#[tokio::test]
async fn results_are_in_the_order_of_the_spawns() {
    #[supervised(name = "group: order")]
    async fn late(turns: u32) -> Result<u32, TaskError> {
        for _ in 0..turns {
            turn().await;
        }
        Ok(turns)
    }

    let group = Group::new(&CancellationToken::new());
    for turns in [9, 0, 5, 1] {
        group.spawn(move |token| late(token, turns)).await;
    }
    assert_eq!(in_time(group.join()).await.unwrap(), [9, 0, 5, 1]);
}

#[tokio::test]
async fn an_empty_group_joins_at_once() {
    let group = Group::<u32, TaskError>::new(&CancellationToken::new());
    assert_eq!(in_time(group.join()).await.unwrap(), [0_u32; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_bounds_the_tasks_and_is_reached() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static PEAK: AtomicUsize = AtomicUsize::new(0);

    #[supervised(name = "group: limit")]
    async fn meet(barrier: Arc<Barrier>) {
        PEAK.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
        barrier.wait().await;
        RUNNING.fetch_sub(1, SeqCst);
    }

    let barrier = Arc::new(Barrier::new(4));
    let group = Group::new(&CancellationToken::new()).limit(4);
    for _ in 0..100 {
        let barrier = barrier.clone();
        in_time(group.spawn(move |token| meet(token, barrier))).await;
    }
    assert_eq!(in_time(group.join()).await.unwrap().len(), 100);
    assert_eq!(PEAK.load(SeqCst), 4);
}

#[tokio::test]
async fn cancelling_a_group_wakes_a_spawn_that_waits_for_a_slot() {
    #[supervised(name = "group: wakes")]
    async fn hold() -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).limit(1);
    group.spawn(hold).await;
    let mut second = Box::pin(group.spawn(hold));
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(stats_of("group: wakes").waiting, 1);
    token.cancel();
    in_time(second).await;
    assert!(matches!(in_time(group.join()).await, Err(TaskError::Cancelled(_))));
    let stats = stats_of("group: wakes");
    assert_eq!((stats.started, stats.running, stats.waiting), (2, 0, 0));
}

#[tokio::test]
async fn a_spawn_that_waits_for_a_permit_holds_no_slot() {
    #[supervised(limit = 1, name = "group: limited")]
    async fn limited(go: Arc<Notify>) -> Result<(), TaskError> {
        go.notified().await;
        Ok(())
    }
    #[supervised(name = "group: free")]
    async fn free() -> Result<(), TaskError> {
        Ok(())
    }

    let (token, go) = (CancellationToken::new(), Arc::new(Notify::new()));
    let mut holder = Box::pin(limited(&token, go.clone()));
    assert!(poll_once(holder.as_mut()).is_pending());

    let group = Group::new(&token).limit(1);
    let mut waiting = Box::pin(group.spawn({
        let go = go.clone();
        |token| limited(token, go)
    }));
    assert!(poll_once(waiting.as_mut()).is_pending());
    in_time(group.spawn(free)).await;

    go.notify_one();
    in_time(holder).await.unwrap();
    in_time(waiting).await;
    go.notify_one();
    assert_eq!(in_time(group.join()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn two_groups_and_one_limited_function_do_not_block_each_other() {
    #[supervised(limit = 1, name = "group: both orders")]
    async fn limited() -> Result<(), TaskError> {
        turn().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let (one, other) = (Group::new(&token).limit(1), Group::new(&token).limit(2));
    in_time(async {
        let spawn_into = async |group: &Group<(), TaskError>| {
            for _ in 0..100 {
                group.spawn(limited).await;
            }
        };
        tokio::join!(spawn_into(&one), spawn_into(&other), spawn_into(&one));
        assert_eq!(one.join().await.unwrap().len(), 200);
        assert_eq!(other.join().await.unwrap().len(), 100);
    })
    .await;
}

#[tokio::test]
async fn a_spawn_that_is_dropped_while_it_waits_spawns_nothing() {
    #[supervised(name = "group: dropped spawn")]
    async fn hold(go: Arc<Notify>) -> Result<(), TaskError> {
        go.notified().await;
        Ok(())
    }

    let go = Arc::new(Notify::new());
    let group = Group::new(&CancellationToken::new()).limit(1);
    let hold = |token| hold(token, go.clone());
    group.spawn(hold).await;
    let mut second = Box::pin(group.spawn(hold));
    assert!(poll_once(second.as_mut()).is_pending());
    drop(second);
    go.notify_one();
    assert_eq!(in_time(group.join()).await.unwrap().len(), 1);
    assert_eq!(outcomes_of("group: dropped spawn"), [(Outcome::Ok, 1), (Outcome::Dropped, 1)]);
}

#[tokio::test]
async fn a_task_spawns_siblings_and_the_join_waits_for_them() {
    #[supervised(name = "group: siblings")]
    async fn parent(
        siblings: tokio_supervised::GroupHandle<u32, TaskError>,
    ) -> Result<u32, TaskError> {
        for n in 1..=5 {
            turn().await;
            siblings.spawn(move |token| child(token, n)).await.unwrap();
        }
        Ok(0)
    }
    #[supervised(name = "group: sibling")]
    async fn child(n: u32) -> Result<u32, TaskError> {
        turn().await;
        Ok(n)
    }

    let group = Group::new(&CancellationToken::new());
    let handle = group.handle();
    group.spawn(move |token| parent(token, handle)).await;
    assert_eq!(in_time(group.join()).await.unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_task_of_a_cloned_handle_may_borrow_a_static_token() {
    #[supervised(name = "group: lent for ever")]
    async fn hold() -> Result<(), TaskError> {
        pending().await
    }

    let forever: &'static CancellationToken = Box::leak(Box::new(CancellationToken::new()));
    let group = Group::new(&CancellationToken::new());
    let handle = group.handle();
    handle.clone().spawn(|_| hold(forever)).await.unwrap();
    handle.spawn(|_| hold(forever)).await.unwrap();
    turn().await;
    assert_eq!(stats_of("group: lent for ever").running, 2);
    forever.cancel();
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Cancelled);
    assert_eq!(outcomes_of("group: lent for ever"), [(Outcome::Cancelled, 2)]);
}

#[tokio::test]
async fn a_handle_spawns_nothing_after_the_join() {
    #[supervised(name = "group: late")]
    async fn late() -> Result<(), TaskError> {
        Ok(())
    }

    let group = Group::new(&CancellationToken::new());
    let handle = group.handle();
    in_time(group.spawn(late)).await;
    in_time(group.join()).await.unwrap();
    assert_eq!(in_time(handle.spawn(late)).await.map(drop), Err(SpawnError::Joined));
    assert_eq!(stats_of("group: late").started, 1);
}

#[tokio::test]
async fn functions_of_different_errors_fit_into_one_group() {
    #[supervised(name = "group: io")]
    async fn io() -> std::io::Result<u32> {
        Ok(1)
    }
    #[supervised(name = "group: anyhow")]
    async fn any() -> anyhow::Result<u32> {
        Ok(2)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(any).await;
    group.spawn(|token| io(token).err_into()).await;
    let numbers: anyhow::Result<Vec<u32>> = in_time(group.join()).await;
    assert_eq!(numbers.unwrap(), [2, 1]);
}

#[tokio::test]
async fn a_task_holds_its_permit_while_its_error_is_converted() {
    #[supervised(name = "group: converted", limit = 1)]
    async fn io() -> std::io::Result<u32> {
        Ok(1)
    }

    let token = CancellationToken::new();
    let group: Group<u32, anyhow::Error> = Group::new(&token);
    group.spawn(|token| io(token).err_into()).await;
    let mut another = Box::pin(io(&token));
    assert!(poll_once(another.as_mut()).is_pending(), "the task has the only permit");
    assert_eq!(in_time(group.join()).await.unwrap(), [1]);
    assert_eq!(in_time(another).await.unwrap(), 1);
}

#[tokio::test]
async fn a_task_dropped_before_its_first_poll_counts_as_cancelled() {
    #[supervised(limit = 3, name = "group: unpolled")]
    async fn never() -> Result<(), TaskError> {
        Ok(())
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(never).await;
    group.spawn(never).await;
    drop(group);
    turn().await;
    assert_eq!(outcomes_of("group: unpolled"), [(Outcome::Cancelled, 2)]);
    assert_eq!(stats_of("group: unpolled").started, 2);
}
