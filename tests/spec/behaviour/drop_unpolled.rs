//! Tasks that were spawned and dropped before their first poll, with parameters whose drop panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio_supervised::{CancellationToken, Group, TaskError, map, supervised};

use testkit::{in_time, poll_once, runtime};

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped a bomb");
    }
}

#[supervised(name = "unpolled: carry")]
async fn carry(bomb: Arc<Bomb>) -> Result<(), TaskError> {
    let _bomb = bomb;
    Ok(())
}

#[test]
fn dropping_an_unpolled_call_contains_its_panics() {
    let call = carry(CancellationToken::new(), Arc::new(Bomb));
    catch_unwind(AssertUnwindSafe(|| drop(call))).expect("the panic is caught");
}

#[test]
fn a_join_ends_after_the_runtime_has_dropped_its_tasks() {
    let group = Group::new(&CancellationToken::new());
    let first = runtime();
    first.block_on(async {
        group.spawn(|token| carry(token, Arc::new(Bomb))).await;
        group.spawn(|token| carry(token, Arc::new(Bomb))).await;
    });
    drop(first);
    let error = runtime().block_on(in_time(group.join())).unwrap_err();
    assert!(matches!(error, TaskError::Cancelled(_)), "{error}");
}

#[test]
fn a_map_ends_after_the_runtime_has_dropped_its_workers() {
    let token = CancellationToken::new();
    let mut map = Box::pin(map(&token, 0..10, |token, _| carry(token, Arc::new(Bomb))));
    let first = runtime();
    {
        let _entered = first.enter();
        assert!(poll_once(map.as_mut()).is_pending());
    }
    drop(first);
    let error = runtime().block_on(in_time(map)).unwrap_err();
    assert!(matches!(error, TaskError::Cancelled(_)), "{error}");
}
