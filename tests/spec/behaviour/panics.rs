//! The panic boundary: every panic becomes a value, wherever it occurs.

use std::{
    backtrace::BacktraceStatus,
    future::pending,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio_supervised::{CancellationToken, Group, Outcome, Panic, TaskError, map, supervised};

use testkit::{Alive, in_time, outcomes_of, poll_once, stats_of, turn};

fn panic_of<T>(result: Result<T, TaskError>) -> Panic {
    match result {
        Err(TaskError::Panicked(panic)) => panic,
        Err(other) => panic!("not a panic: {other}"),
        Ok(_) => panic!("not an error"),
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped a bomb");
    }
}

#[tokio::test]
async fn a_panic_has_its_message_place_and_backtrace() {
    #[supervised(name = "panics: place")]
    async fn index(at: usize) -> Result<u32, TaskError> {
        turn().await;
        deep_inside(at).await
    }
    async fn deep_inside(at: usize) -> Result<u32, TaskError> {
        turn().await;
        Ok([1, 2, 3][at])
    }

    let mut panics = 0;
    let panic = loop {
        let panic = panic_of(index(&CancellationToken::new(), 7).await);
        panics += 1;
        // It has none if the backtrace of another test's panic is being symbolised.
        if panic.backtrace().unwrap().status() == BacktraceStatus::Captured {
            break panic;
        }
    };
    assert_eq!(panic.message(), "index out of bounds: the len is 3 but the index is 7");
    let location = panic.location().expect("the hook has recorded it");
    assert!(location.file().ends_with("panics.rs"), "{location}");
    let shown = panic.to_string();
    assert_eq!(shown, format!("task `panics: place` panicked at {location}: {}", panic.message()));
    let backtrace = panic.backtrace().unwrap().to_string();
    assert!(backtrace.contains("deep_inside"), "{backtrace}");
    assert_eq!(outcomes_of("panics: place"), [(Outcome::Panicked, panics)]);
}

#[tokio::test]
async fn the_payload_of_a_panic_can_be_taken() {
    #[supervised(name = "panics: payload")]
    async fn throw() -> Result<(), TaskError> {
        panic::panic_any(42_u32)
    }

    let panic = panic_of(throw(&CancellationToken::new()).await);
    assert_eq!(panic.message(), "the payload is not a string");
    assert!(panic.location().is_some());
    assert_eq!(*panic.into_payload().downcast::<u32>().unwrap(), 42);
}

#[tokio::test]
async fn a_resumed_panic_has_no_place() {
    #[supervised(name = "panics: resumed")]
    async fn resume() -> Result<(), TaskError> {
        let earlier = catch_unwind(|| panic!("earlier")).unwrap_err();
        drop(earlier);
        panic::resume_unwind(Box::new("later"))
    }

    let panic = panic_of(resume(&CancellationToken::new()).await);
    assert_eq!(panic.message(), "later");
    assert!(panic.location().is_none(), "the place of the earlier panic is not used");
    assert_eq!(panic.to_string(), "task `panics: resumed` panicked: later");
}

#[tokio::test]
async fn a_panic_in_a_drop_does_not_replace_the_first_panic() {
    #[supervised(name = "panics: inner")]
    async fn inner(bomb: Bomb) -> Result<(), TaskError> {
        let _bomb = bomb;
        pending().await
    }
    #[supervised(name = "panics: outer")]
    async fn outer(token: &CancellationToken) -> Result<(), TaskError> {
        let mut unfinished = Box::pin(inner(token, Bomb));
        assert!(poll_once(unfinished.as_mut()).is_pending());
        panic!("the first")
    }

    let panic = panic_of(outer(&CancellationToken::new()).await);
    assert_eq!(panic.message(), "the first");
    assert!(panic.location().is_some(), "{panic}");
}

#[tokio::test]
async fn a_panic_that_the_body_catches_is_not_counted() {
    #[supervised(name = "panics: own catch")]
    async fn careful() -> Result<bool, TaskError> {
        Ok(catch_unwind(|| panic!("caught inside")).is_err())
    }

    assert!(careful(&CancellationToken::new()).await.unwrap());
    assert_eq!(outcomes_of("panics: own catch"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn a_cancelled_body_whose_drop_panics_counts_as_panicked() {
    #[supervised(name = "panics: drop of the body")]
    async fn carry(bomb: Bomb) -> Result<(), TaskError> {
        let _bomb = bomb;
        pending().await
    }

    let token = CancellationToken::new();
    let run = tokio::spawn(carry(token.clone(), Bomb));
    turn().await;
    token.cancel();
    assert_eq!(panic_of(in_time(run).await.unwrap()).message(), "dropped a bomb");
    assert_eq!(outcomes_of("panics: drop of the body"), [(Outcome::Panicked, 1)]);
}

#[tokio::test]
async fn dropping_a_started_call_contains_its_panics() {
    #[supervised(name = "panics: dropped by its owner")]
    async fn carry(bomb: Bomb) -> Result<(), TaskError> {
        let _bomb = bomb;
        pending().await
    }

    let token = CancellationToken::new();
    let mut run = Box::pin(carry(&token, Bomb));
    assert!(poll_once(run.as_mut()).is_pending());
    catch_unwind(AssertUnwindSafe(|| drop(run))).expect("the panic is caught and counted");
    let stats = stats_of("panics: dropped by its owner");
    assert_eq!((stats.ended(Outcome::Panicked), stats.running), (1, 0));
}

#[tokio::test]
async fn a_payload_that_panics_in_its_drop_is_harmless() {
    #[supervised(name = "panics: drop of the payload")]
    async fn throw() -> Result<(), TaskError> {
        panic::panic_any(Bomb)
    }

    let panic = panic_of(throw(&CancellationToken::new()).await);
    catch_unwind(AssertUnwindSafe(|| drop(panic))).expect("caught");
}

#[tokio::test]
async fn unreturned_values_may_panic_in_their_drop() {
    #[supervised(name = "panics: drop of the output")]
    async fn arm(n: u32) -> Result<Bomb, TaskError> {
        if n == 2 {
            return Err(io_like());
        }
        Ok(Bomb)
    }
    fn io_like() -> TaskError {
        panic!("the third fails")
    }

    let token = CancellationToken::new();
    let results = in_time(map(&token, 0..3, arm)).await;
    assert_eq!(panic_of(results).message(), "the third fails");

    let group = Group::new(&token);
    for n in 0..3 {
        group.spawn(move |token| arm(token, n)).await;
    }
    assert_eq!(panic_of(in_time(group.join()).await).message(), "the third fails");
}

#[tokio::test]
async fn a_panic_releases_the_resources_of_the_body() {
    #[supervised(name = "panics: releases")]
    async fn hold(alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        turn().await;
        panic!("now")
    }

    let count = Arc::new(AtomicUsize::new(0));
    in_time(hold(&CancellationToken::new(), Alive::new(&count))).await.unwrap_err();
    assert_eq!(count.load(SeqCst), 0);
}

#[tokio::test]
async fn a_thousand_calls_of_which_every_fifth_panics_add_up() {
    #[supervised(name = "panics: every fifth")]
    async fn work(n: u32) -> Result<u32, TaskError> {
        turn().await;
        assert!(n % 5 != 0, "multiple of five");
        Ok(n)
    }

    let results = in_time(map(&CancellationToken::new(), 0..1_000, work).settled()).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 200);
    assert_eq!(outcomes_of("panics: every fifth"), [(Outcome::Ok, 800), (Outcome::Panicked, 200)]);
}

#[tokio::test]
async fn a_function_without_a_result_survives_a_panic() {
    #[supervised(name = "panics: unit")]
    async fn tick() {
        panic!("tick")
    }

    tick(&CancellationToken::new()).await;
    assert_eq!(outcomes_of("panics: unit"), [(Outcome::Panicked, 1)]);
}

#[test]
fn a_call_in_a_drop_during_a_panic_runs() {
    #[supervised(name = "panics: cleans up")]
    async fn clean_up() -> Result<(), TaskError> {
        Ok(())
    }

    struct CleansUp;

    impl Drop for CleansUp {
        fn drop(&mut self) {
            assert!(poll_once(clean_up(&CancellationToken::new())).is_ready());
        }
    }

    let ended = catch_unwind(|| {
        let _cleans_up = CleansUp;
        panic!("the cause");
    });
    assert_eq!(*ended.unwrap_err().downcast::<&str>().unwrap(), "the cause");
    assert_eq!(outcomes_of("panics: cleans up"), [(Outcome::Ok, 1)]);
}
