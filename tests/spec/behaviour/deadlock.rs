//! Self-deadlocks: a run is refused if it needs a resource held by itself or by a run that awaits it. The refusal has the
//! names of the functions involved.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};
use tokio_supervised::{
    CancellationToken, Group, Outcome, Pool, Rejected, Slot, SpawnError, TaskError, map, supervised,
};

use testkit::{in_time, outcomes_of, poll_once, stats_of, turn};

/// A recursive function: boxed with a known type, since it would otherwise contain itself.
type Boxed = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;

/// The refusal inside an error.
fn rejected(error: TaskError) -> Rejected {
    match error {
        TaskError::Rejected(rejected) => rejected,
        other => panic!("expected a rejection: {other}"),
    }
}

#[tokio::test]
async fn a_recursion_deeper_than_its_limit_is_refused_by_name() {
    #[supervised(limit = 3, name = "deadlock: walk")]
    async fn walk(token: &CancellationToken, depth: u32) -> Result<u32, TaskError> {
        if depth == 0 {
            return Ok(0);
        }
        Ok(1 + Box::pin(walk(token, depth - 1)).await?)
    }

    let token = CancellationToken::new();
    assert_eq!(in_time(walk(&token, 2)).await.unwrap(), 2, "free permits are acquired");
    let refused = rejected(in_time(walk(&token, 3)).await.unwrap_err());
    assert_eq!((refused.task(), refused.limit()), ("deadlock: walk", 3));
    assert_eq!(
        refused.to_string(),
        "task `deadlock: walk` was rejected: self-deadlock (`deadlock: walk` -> `deadlock: walk`): \
         all 3 permits of `deadlock: walk` are taken"
    );
    assert_eq!(in_time(walk(&token, 2)).await.unwrap(), 2, "every permit is back");
    assert_eq!(
        outcomes_of("deadlock: walk"),
        [(Outcome::Ok, 6), (Outcome::Error, 3), (Outcome::Rejected, 1)]
    );
}

#[tokio::test]
async fn the_functions_between_are_named_even_without_a_limit() {
    #[supervised(limit = 1, name = "deadlock: outer")]
    async fn outer(token: &CancellationToken, again: bool) -> Result<(), TaskError> {
        if again { between(token).await } else { Ok(()) }
    }

    #[supervised(name = "deadlock: between")]
    async fn between(token: &CancellationToken) -> Result<(), TaskError> {
        Box::pin(outer(token, false)).await
    }

    let refused = rejected(in_time(outer(&CancellationToken::new(), true)).await.unwrap_err());
    assert_eq!(refused.chain(), ["deadlock: outer", "deadlock: between", "deadlock: outer"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_self_deadlock_is_found_through_a_map() {
    #[supervised(limit = 1, name = "deadlock: mapped")]
    async fn mapped(token: &CancellationToken, again: bool) -> Result<(), TaskError> {
        if again {
            let token = token.clone();
            let items = map(&token, [false], boxed);
            in_time(items).await?;
        }
        Ok(())
    }

    #[supervised(name = "deadlock: boxed")]
    async fn boxed(token: &CancellationToken, again: bool) -> Result<(), TaskError> {
        in_time(mapped_boxed(token.clone(), again)).await
    }

    fn mapped_boxed(token: CancellationToken, again: bool) -> Boxed {
        Box::pin(mapped(token, again))
    }

    let refused = rejected(in_time(mapped(&CancellationToken::new(), true)).await.unwrap_err());
    assert_eq!(refused.chain(), ["deadlock: mapped", "deadlock: boxed", "deadlock: mapped"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_self_deadlock_is_found_in_a_spawn_and_in_nested_groups() {
    #[supervised(limit = 1, name = "deadlock: root")]
    async fn root(token: &CancellationToken, deep: bool) -> Result<(), TaskError> {
        let group = Group::new(token);
        if deep {
            in_time(group.spawn(middle)).await;
        } else {
            in_time(group.spawn(same)).await;
        }
        in_time(group.join()).await.map(|_| ())
    }

    /// A separate group, whose task calls the function that blocks.
    #[supervised(name = "deadlock: middle")]
    async fn middle(token: &CancellationToken) -> Result<(), TaskError> {
        let group = Group::new(token);
        in_time(group.spawn(same)).await;
        in_time(group.join()).await.map(|_| ())
    }

    #[supervised(name = "deadlock: same")]
    async fn same(token: &CancellationToken) -> Result<(), TaskError> {
        in_time(root_boxed(token.clone())).await
    }

    fn root_boxed(token: CancellationToken) -> Boxed {
        Box::pin(root(token, false))
    }

    let token = CancellationToken::new();
    let refused = rejected(in_time(root(&token, false)).await.unwrap_err());
    assert_eq!(refused.chain(), ["deadlock: root", "deadlock: same", "deadlock: root"]);
    let refused = rejected(in_time(root(&token, true)).await.unwrap_err());
    assert_eq!(
        refused.chain(),
        ["deadlock: root", "deadlock: middle", "deadlock: same", "deadlock: root"]
    );
}

#[tokio::test]
async fn a_spawn_that_needs_the_permit_of_its_spawner_fails_its_group() {
    #[supervised(limit = 1, name = "deadlock: spawner")]
    async fn spawner(spawn_again: fn() -> Boxed, again: bool) -> Result<(), TaskError> {
        if again { in_time(spawn_again()).await } else { Ok(()) }
    }

    fn spawn_again() -> Boxed {
        Box::pin(async {
            let group = Group::new(&CancellationToken::new());
            in_time(group.spawn(|token| spawner(token, spawn_again, false))).await;
            in_time(group.join()).await.map(|_| ())
        })
    }

    let token = CancellationToken::new();
    let refused = rejected(in_time(spawner(&token, spawn_again, true)).await.unwrap_err());
    assert_eq!(refused.chain(), ["deadlock: spawner", "deadlock: spawner"]);
    assert_eq!(stats_of("deadlock: spawner").waiting, 0);
}

#[tokio::test]
async fn a_task_that_needs_a_slot_of_its_own_full_group_gets_an_error() {
    #[supervised(name = "deadlock: sibling")]
    async fn sibling(_: u32) -> Result<(), TaskError> {
        Ok(())
    }

    let group = Group::<(), TaskError>::new(&CancellationToken::new()).limit(1);
    let handle = group.handle();
    group
        .spawn(tokio_supervised::task!("deadlock: parent", |token| -> Result<(), TaskError> {
            _ = &token;
            match in_time(handle.spawn(|token| sibling(token, 1))).await {
                Err(SpawnError::Rejected(rejected)) => Err(TaskError::Rejected(rejected)),
                other => panic!("it waits for deadlock: {other:?}"),
            }
        }))
        .await;
    let refused = rejected(in_time(group.join()).await.unwrap_err());
    assert_eq!(
        refused.to_string(),
        "task `deadlock: sibling` was rejected: self-deadlock \
         (`deadlock: parent` -> `deadlock: sibling`): the only slot of their scope is taken"
    );
    assert_eq!(outcomes_of("deadlock: sibling"), [(Outcome::Rejected, 1)]);
    assert_eq!(stats_of("deadlock: sibling").waiting, 0);
}

#[tokio::test]
async fn a_task_that_needs_a_slot_of_its_own_full_pool_gets_an_error() {
    #[supervised(name = "deadlock: leaf of a pool")]
    async fn leaf() -> Result<(), TaskError> {
        Ok(())
    }

    /// In a separate group, since that task is awaited too.
    #[supervised(name = "deadlock: helper of a pool's")]
    async fn helper(pool: Pool) -> Result<Vec<SpawnError>, TaskError> {
        let spawned = in_time(pool.spawn(leaf)).await.unwrap_err();
        let reserved = in_time(pool.reserve()).await.unwrap_err();
        Ok(vec![spawned, reserved])
    }

    #[supervised(name = "deadlock: in a pool")]
    async fn in_a_pool(
        token: &CancellationToken,
        pool: Pool,
        sender: oneshot::Sender<Vec<SpawnError>>,
    ) -> Result<(), TaskError> {
        let spawned = in_time(pool.spawn(leaf)).await.unwrap_err();
        let reserved = in_time(pool.reserve()).await.unwrap_err();
        let group = Group::new(token);
        let again = pool.clone();
        group.spawn(|token| helper(token, again)).await;
        let mut all = vec![spawned, reserved];
        all.extend(in_time(group.join()).await?.remove(0));
        sender.send(all).unwrap();
        Ok(())
    }

    let pool = Pool::new(1);
    let (sender, receiver) = oneshot::channel();
    let again = pool.clone();
    pool.spawn(|token| in_a_pool(token, again, sender)).await.unwrap();
    let errors: Vec<_> = in_time(receiver).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "task `deadlock: leaf of a pool` was rejected: self-deadlock (`deadlock: in a pool` -> \
             `deadlock: leaf of a pool`): the only slot of their scope is taken",
            "task `deadlock: in a pool` was rejected: self-deadlock (`deadlock: in a pool`): the \
             only slot of their scope is taken",
            "task `deadlock: leaf of a pool` was rejected: self-deadlock (`deadlock: in a pool` -> \
             `deadlock: helper of a pool's` -> `deadlock: leaf of a pool`): the only slot of their scope is \
             taken",
            "task `deadlock: helper of a pool's` was rejected: self-deadlock (`deadlock: in a pool` \
             -> `deadlock: helper of a pool's`): the only slot of their scope is taken",
        ]
    );
    in_time(pool.drain(Duration::from_secs(1))).await.unwrap();
    assert_eq!(outcomes_of("deadlock: leaf of a pool"), [(Outcome::Rejected, 2)]);
}

#[tokio::test]
async fn a_pool_spawn_that_needs_its_spawners_permit_is_refused() {
    #[supervised(limit = 1, name = "deadlock: into a pool")]
    async fn into_a_pool(spawn_again: Option<fn() -> Spawned>) -> Result<(), TaskError> {
        if let Some(spawn_again) = spawn_again {
            let error = in_time(spawn_again()).await.unwrap_err();
            let SpawnError::Rejected(rejected) = error else { panic!("{error}") };
            return Err(TaskError::Rejected(rejected));
        }
        Ok(())
    }

    type Spawned = Pin<Box<dyn Future<Output = Result<(), SpawnError>> + Send>>;
    fn spawn_again() -> Spawned {
        Box::pin(async { Pool::new(4).spawn(|token| into_a_pool(token, None)).await.map(drop) })
    }

    let run = into_a_pool(CancellationToken::new(), Some(spawn_again));
    let refused = rejected(in_time(run).await.unwrap_err());
    assert_eq!(refused.chain(), ["deadlock: into a pool", "deadlock: into a pool"]);
}

#[tokio::test]
async fn a_spawner_does_not_wait_for_its_pool_task() {
    /// Holds its permit until the task that it spawned waits for one.
    #[supervised(limit = 1, name = "deadlock: not awaited")]
    async fn not_awaited(slot: Option<(Slot, fn(Slot))>) -> Result<(), TaskError> {
        if let Some((slot, spawn)) = slot {
            spawn(slot);
            while stats_of("deadlock: not awaited").waiting == 0 {
                turn().await;
            }
        }
        Ok(())
    }

    fn spawn(slot: Slot) {
        slot.spawn(|token| not_awaited(token, None));
    }

    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let run = not_awaited(CancellationToken::new(), Some((slot, spawn)));
    in_time(run).await.unwrap();
    in_time(pool.drain(Duration::from_secs(1))).await.unwrap();
    assert_eq!(outcomes_of("deadlock: not awaited"), [(Outcome::Ok, 2)]);
}

#[tokio::test]
async fn a_wait_for_another_holder_is_no_self_deadlock() {
    #[supervised(limit = 1, name = "deadlock: other")]
    async fn other(gate: Arc<Notify>) -> Result<(), TaskError> {
        gate.notified().await;
        Ok(())
    }

    #[supervised(limit = 1, name = "deadlock: caller")]
    async fn caller(token: &CancellationToken, gate: Arc<Notify>) -> Result<(), TaskError> {
        // Both are polled by one task, side by side: neither awaits the other.
        let (first, second) = tokio::join!(other(token, gate.clone()), other(token, gate.clone()));
        first.and(second)
    }

    let gate = Arc::new(Notify::new());
    let run = tokio::spawn(caller(CancellationToken::new(), gate.clone()));
    while stats_of_or_none("deadlock: other") != Some((1, 1)) {
        turn().await;
    }
    gate.notify_one();
    while stats_of("deadlock: other").ended(Outcome::Ok) < 1 {
        turn().await;
    }
    gate.notify_one();
    in_time(run).await.unwrap().unwrap();
}

/// The numbers of running and waiting runs.
fn stats_of_or_none(name: &str) -> Option<(u64, u64)> {
    let all = tokio_supervised::stats();
    all.iter().find(|task| task.name == name).map(|task| (task.running, task.waiting))
}

#[tokio::test]
async fn a_scope_that_outlives_its_maker_waits_for_no_ancestor() {
    /// Creates a group and returns, or waits while it holds its permit.
    #[supervised(limit = 1, name = "deadlock: maker")]
    async fn maker(
        token: &CancellationToken,
        stay: Option<Arc<Notify>>,
    ) -> Result<Group<(), TaskError>, TaskError> {
        if let Some(stay) = stay {
            stay.notified().await;
        }
        Ok(Group::new(token))
    }

    #[supervised(name = "deadlock: visitor")]
    async fn visitor(token: &CancellationToken) -> Result<(), TaskError> {
        drop(maker(token, None).await?);
        Ok(())
    }

    let token = CancellationToken::new();
    let group = maker(&token, None).await.unwrap();
    let leave = Arc::new(Notify::new());
    let mut staying = Box::pin(maker(&token, Some(leave.clone())));
    assert!(poll_once(staying.as_mut()).is_pending());
    // Another run holds the only permit: its task waits for it, and gets it.
    group.spawn(visitor).await;
    while stats_of("deadlock: maker").waiting == 0 {
        turn().await;
    }
    leave.notify_one();
    drop(in_time(staying).await.unwrap());
    in_time(group.join()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slot_and_permit_in_both_orders_do_not_deadlock() {
    #[supervised(limit = 2, name = "deadlock: both orders")]
    async fn both() -> Result<(), TaskError> {
        turn().await;
        Ok(())
    }

    // Spawns wait for slots of a full group while permits are free, and the reverse. Inline calls and a second
    // group take the permits meanwhile.
    let token = CancellationToken::new();
    let groups = [Group::new(&token).limit(1), Group::new(&token).limit(3)];
    let spawns = async {
        for _ in 0..2_000 {
            tokio::join!(groups[0].spawn(both), groups[1].spawn(both));
        }
    };
    let inline = async {
        for _ in 0..2_000 {
            both(&token).await.unwrap();
        }
    };
    in_time(async { tokio::join!(spawns, inline) }).await;
    for group in groups {
        assert_eq!(in_time(group.join()).await.unwrap().len(), 2_000);
    }
    let stats = stats_of("deadlock: both orders");
    assert_eq!((stats.started, stats.running, stats.waiting), (6_000, 0, 0));
}
