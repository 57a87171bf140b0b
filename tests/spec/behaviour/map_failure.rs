//! Maps: failures, cancellation, remaining items.

use std::{
    future::pending,
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio_supervised::{CancellationToken, Cause, Outcome, TaskError, map, supervised};

use testkit::{Alive, in_time, poll_once, stats_of, turn};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("item {0} failed")]
    Item(u32),
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[tokio::test]
async fn the_first_failure_cancels_the_rest_and_is_returned() {
    #[supervised(name = "map: first failure")]
    async fn fail_at_three(n: u32) -> Result<u32, Failure> {
        match n {
            3 => Err(Failure::Item(n)),
            _ => pending().await,
        }
    }

    let token = CancellationToken::new();
    let error = in_time(map(&token, 0..8, fail_at_three).limit(8)).await.unwrap_err();
    assert!(matches!(error, Failure::Item(3)), "{error}");
    assert!(!token.is_cancelled(), "the map cancels only its own runs");
    let stats = stats_of("map: first failure");
    assert_eq!(stats.running, 0, "every run has ended");
    assert_eq!(stats.ended(Outcome::Error), 1);
}

#[tokio::test]
async fn cancelled_siblings_name_the_failed_item() {
    #[supervised(name = "map: sibling")]
    async fn fail_or_report(
        token: &CancellationToken,
        sender: tokio::sync::mpsc::UnboundedSender<Cause>,
        n: u32,
    ) -> Result<(), Failure> {
        if n == 1 {
            return Err(Failure::Item(n));
        }
        token.cancelled().await;
        if let Err(TaskError::Cancelled(cancelled)) = leaf(token).await {
            sender.send(cancelled.cause()).expect("the test listens");
        }
        Ok(())
    }
    #[supervised(name = "map: leaf")]
    async fn leaf() -> Result<(), TaskError> {
        Ok(())
    }

    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let all = map(&CancellationToken::new(), 0..2, move |token, n| {
        fail_or_report(token, sender.clone(), n)
    });
    in_time(all).await.unwrap_err();
    assert_eq!(receiver.recv().await, Some(Cause::SiblingFailed { task: "map: sibling" }));
}

#[tokio::test]
async fn a_panic_of_an_item_is_its_error() {
    #[supervised(name = "map: panic")]
    async fn work(n: u32) -> Result<u32, Failure> {
        assert!(n != 2, "one failure, not two");
        Ok(n)
    }

    let token = CancellationToken::new();
    let error = in_time(map(&token, 0..5, work)).await.unwrap_err();
    assert!(matches!(error, Failure::Task(TaskError::Panicked(_))), "{error}");

    let results = in_time(map(&token, 0..5, work).settled()).await;
    let ok: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, true, false, true, true]);
}

#[tokio::test]
async fn an_infinite_iterator_with_an_early_failure_ends() {
    #[supervised(name = "map: infinite")]
    async fn work(n: u32) -> Result<u32, Failure> {
        turn().await;
        if n == 100 { Err(Failure::Item(n)) } else { Ok(n) }
    }

    let error = in_time(map(&CancellationToken::new(), 0.., work)).await.unwrap_err();
    assert!(matches!(error, Failure::Item(100)), "{error}");
}

#[tokio::test]
async fn a_fired_token_ends_a_map_over_an_infinite_iterator() {
    #[supervised(name = "map: cancelled")]
    async fn work(_: u32) -> Result<(), TaskError> {
        turn().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let all = tokio::spawn({
        let token = token.clone();
        async move { map(&token, iter::repeat(1), work).await }
    });
    turn().await;
    token.cancel();
    assert!(matches!(in_time(all).await.unwrap(), Err(TaskError::Cancelled(_))));
}

#[tokio::test]
async fn settled_results_end_with_a_cancellation_if_items_are_unread() {
    #[supervised(name = "map: settled, cancelled")]
    async fn cancel_at_ten(all: CancellationTokens, n: u32) -> Result<u32, TaskError> {
        if n == 10 {
            all.0.cancel();
            turn().await;
        }
        Ok(n)
    }
    #[derive(Clone)]
    struct CancellationTokens(CancellationToken);

    let token = CancellationToken::new();
    let all = CancellationTokens(token.clone());
    let results = map(&token, 0.., move |token, n| cancel_at_ten(token, all.clone(), n));
    let results = in_time(results.limit(1).settled()).await;
    // The last result stands for the items that were not read.
    assert_eq!(results.len(), 12);
    let cancelled = |end: &Result<_, _>| matches!(end, Err(TaskError::Cancelled(_)));
    assert!(results[10..].iter().all(cancelled));
}

#[tokio::test]
async fn a_panic_of_the_closure_is_the_failure_of_its_item() {
    #[supervised(name = "map: closure panics")]
    async fn work(n: u32) -> Result<u32, TaskError> {
        Ok(n)
    }

    let token = CancellationToken::new();
    let prepare = |token, n: u32| {
        assert!(n != 1, "cannot prepare one");
        work(token, n)
    };
    let error = in_time(map(&token, 0..3, prepare)).await.unwrap_err();
    assert!(error.to_string().ends_with("cannot prepare one"), "{error}");
    let results = in_time(map(&token, 0..3, prepare).settled()).await;
    let ok: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, false, true]);
}

#[tokio::test]
async fn a_panic_of_the_iterator_is_a_failure_and_its_end() {
    #[supervised(name = "map: iterator panics")]
    async fn work(n: u32) -> Result<u32, TaskError> {
        Ok(n)
    }

    let token = CancellationToken::new();
    let items = || (0..).inspect(|n| assert!(*n < 3, "out of items"));
    let error = in_time(map(&token, items(), work)).await.unwrap_err();
    assert!(error.to_string().ends_with("out of items"), "{error}");
    let results = in_time(map(&token, items(), work).settled()).await;
    assert_eq!(results.len(), 4);
    assert!(results[3].is_err());
}

#[tokio::test]
async fn a_dropped_map_leaves_nothing_running() {
    #[supervised(name = "map: dropped")]
    async fn hold(token: &CancellationToken, alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        token.cancelled().await;
        pending().await
    }

    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let items = (0..4).map(move |_| Alive::new(&counted));
    let token = CancellationToken::new();
    let mut all = Box::pin(map(&token, items, hold).limit(4));
    assert!(poll_once(all.as_mut()).is_pending());
    while count.load(SeqCst) < 4 {
        turn().await;
    }
    drop(all);
    in_time(async {
        while count.load(SeqCst) > 0 {
            turn().await;
        }
    })
    .await;
    assert_eq!(stats_of("map: dropped").ended(Outcome::Cancelled), 4);
}
