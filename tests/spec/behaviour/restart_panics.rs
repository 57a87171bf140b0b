//! Panics around the runs of one call: in clones, in drops of the originals, in drops of results.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, supervised};

use testkit::{in_time, outcomes_of, runtime, stats_of};

/// Panics at its first clone only.
struct Fragile(Arc<AtomicU32>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first clone");
        Self(self.0.clone())
    }
}

fn fragile() -> Fragile {
    Fragile(Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_panics_is_a_run_that_panicked() {
    #[supervised(restart = "on-failure", limit = 1, name = "restart panics: clone")]
    async fn work(_fragile: Fragile) -> Result<u32, TaskError> {
        Ok(1)
    }

    assert_eq!(in_time(work(&CancellationToken::new(), fragile())).await.unwrap(), 1);
    let stats = stats_of("restart panics: clone");
    assert_eq!((stats.started, stats.restarts, stats.running), (2, 1, 0));
    assert_eq!(outcomes_of("restart panics: clone"), [(Outcome::Ok, 1), (Outcome::Panicked, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_panics_is_located_and_releases_its_permit() {
    #[supervised(restart = "on-failure", limit = 1, name = "restart panics: place")]
    async fn work(_fragile: Fragile) -> Result<u32, TaskError> {
        Ok(1)
    }

    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(|token| work(token, fragile())).await;
    assert_eq!(in_time(group.join()).await.unwrap(), [1]);

    #[derive(Debug)]
    struct Never;
    impl Clone for Never {
        fn clone(&self) -> Self {
            panic!("it must not be cloned")
        }
    }
    #[supervised(restart = "on-failure", max_restarts = "1/1m", name = "restart panics: never")]
    async fn never(_never: Never) -> Result<u32, TaskError> {
        Ok(1)
    }
    let TaskError::Panicked(panic) = in_time(never(&token, Never)).await.unwrap_err() else {
        panic!("it panicked")
    };
    assert_eq!(panic.message(), "it must not be cloned");
    assert!(panic.location().unwrap().file().ends_with("restart_panics.rs"));
}

/// Panics when the last of its clones is dropped.
#[derive(Clone)]
struct Bomb(#[allow(dead_code)] Arc<Fuse>);

struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        panic!("dropped a bomb");
    }
}

#[supervised(restart = "on-failure", name = "restart panics: carry")]
async fn carry(bomb: Bomb) -> Result<u32, TaskError> {
    let _bomb = bomb;
    Ok(1)
}

#[tokio::test]
async fn a_panic_in_the_drop_of_arguments_changes_no_result() {
    let result = in_time(carry(&CancellationToken::new(), Bomb(Arc::new(Fuse)))).await;
    assert_eq!(result.unwrap(), 1);
}

#[test]
fn dropping_an_unpolled_call_contains_its_panics() {
    let call = carry(CancellationToken::new(), Bomb(Arc::new(Fuse)));
    catch_unwind(AssertUnwindSafe(|| drop(call))).expect("the panic is caught");
}

#[test]
fn a_call_that_was_spawned_and_never_polled_is_one_run() {
    #[supervised(restart = "on-failure", name = "restart panics: unpolled")]
    async fn work() -> Result<u32, TaskError> {
        Ok(1)
    }

    let group = Group::new(&CancellationToken::new());
    let first = runtime();
    first.block_on(async {
        group.spawn(work).await;
    });
    drop(first);
    runtime().block_on(in_time(group.join())).unwrap_err();
    assert_eq!(outcomes_of("restart panics: unpolled"), [(Outcome::Dropped, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_panics_in_its_drop_is_restarted() {
    #[derive(Debug)]
    struct Explosive;
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("dropped an error");
        }
    }
    impl From<TaskError> for Explosive {
        fn from(_: TaskError) -> Self {
            Self
        }
    }
    #[supervised(restart = "on-failure", name = "restart panics: result")]
    async fn work(runs: Arc<AtomicU32>) -> Result<u32, Explosive> {
        if runs.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Explosive);
        }
        Ok(2)
    }

    let result = in_time(work(&CancellationToken::new(), Arc::default())).await;
    assert!(matches!(result, Ok(2)));
}
