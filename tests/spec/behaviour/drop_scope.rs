//! Values that a scope holds may panic in their drop. Such panics do not meet.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, supervised};

use testkit::{in_time, poll_once, turn};

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped a bomb");
    }
}

#[tokio::test]
async fn results_of_a_dropped_map_may_panic_in_their_drop() {
    #[supervised(name = "drop scope: results")]
    async fn arm(n: u32) -> Result<Bomb, TaskError> {
        if n < 5 { Ok(Bomb) } else { pending().await }
    }

    let mut map = Box::pin(map(&CancellationToken::new(), 0..10, arm).limit(2));
    assert!(poll_once(map.as_mut()).is_pending());
    for _ in 0..10 {
        turn().await;
    }
    drop(map);
    for _ in 0..10 {
        turn().await;
    }
}

#[tokio::test]
async fn items_and_closure_of_a_map_may_both_panic_in_their_drop() {
    #[supervised(name = "drop scope: source")]
    async fn count(n: u32) -> Result<u32, TaskError> {
        Ok(n)
    }

    let (of_the_items, of_the_closure) = (Bomb, Bomb);
    let items = (0..3).inspect(move |_| _ = &of_the_items);
    let counted = map(&CancellationToken::new(), items, move |token, n| {
        _ = &of_the_closure;
        count(token, n)
    });
    assert_eq!(in_time(counted).await.unwrap(), [0, 1, 2]);
}

#[tokio::test]
async fn the_failure_of_a_dropped_group_may_panic_in_its_drop() {
    struct Failure {
        _bomb: Bomb,
    }
    impl From<TaskError> for Failure {
        fn from(_: TaskError) -> Self {
            Self { _bomb: Bomb }
        }
    }
    #[supervised(name = "drop scope: failure")]
    async fn fail() -> Result<(), Failure> {
        Err(Failure { _bomb: Bomb })
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(fail).await;
    turn().await;
    catch_unwind(AssertUnwindSafe(|| drop(group))).expect("the panic is caught");
}

/// A panicking value may be dropped together with others while a panic unwinds.
#[tokio::test]
async fn the_captures_of_a_pool_spawn_may_panic_in_their_drop() {
    #[supervised(name = "drop scope: spawn")]
    async fn never(bomb: Bomb) -> Result<(), TaskError> {
        let _bomb = bomb;
        pending().await
    }

    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let bomb = Bomb;
    drop(pool.spawn(move |token| never(token, bomb)));
    let bomb = Bomb;
    let mut waits = Box::pin(pool.spawn(move |token| never(token, bomb)));
    assert!(poll_once(waits.as_mut()).is_pending());
    drop(waits);
    drop(slot);
}
