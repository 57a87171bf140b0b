//! Permits: how many runs are allowed at once, and that none is lost.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::Barrier;
use tokio_supervised::{CancellationToken, Outcome, TaskError, supervised};

use testkit::{in_time, outcomes_of, poll_once, stats_of, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_runs_on_several_threads_never_exceed_the_limit() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static PEAK: AtomicUsize = AtomicUsize::new(0);

    #[supervised(limit = 7, name = "limit: peak")]
    async fn counted() -> Result<(), TaskError> {
        PEAK.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
        for _ in 0..10 {
            turn().await;
        }
        RUNNING.fetch_sub(1, SeqCst);
        Ok(())
    }

    let token = CancellationToken::new();
    let runs: Vec<_> = (0..1_000).map(|_| tokio::spawn(counted(token.clone()))).collect();
    for run in runs {
        in_time(run).await.unwrap().unwrap();
    }
    assert_eq!(PEAK.load(SeqCst), 7, "the limit is reached, never exceeded");
    let stats = stats_of("limit: peak");
    assert_eq!((stats.started, stats.running, stats.waiting), (1_000, 0, 0));
    assert_eq!(stats.permit_waits.count(), 1_000);
}

/// Performs the given action while it holds the only permit.
#[supervised(limit = 1, name = "limit: one", timeout = "1s")]
async fn one(what: What) -> Result<u32, TaskError> {
    match what {
        What::Return => Ok(1),
        What::Panic => panic!("as requested"),
        What::Wait => pending().await,
    }
}

#[derive(Clone, Copy)]
enum What {
    Return,
    Panic,
    Wait,
}

/// The permit is free: the next run acquires it without waiting.
async fn assert_free(token: &CancellationToken) {
    assert_eq!(in_time(one(token, What::Return)).await.unwrap(), 1);
}

/// One test, since the function has one permit.
#[tokio::test(start_paused = true)]
async fn the_permit_is_released_however_a_run_ends() {
    let root = CancellationToken::new();
    assert_free(&root).await;

    one(&root, What::Panic).await.unwrap_err();
    assert_free(&root).await;

    let token = root.child_token();
    let run = tokio::spawn(one(token.clone(), What::Wait));
    turn().await;
    token.cancel();
    assert!(matches!(run.await.unwrap(), Err(TaskError::Cancelled(_))));
    assert_free(&root).await;

    assert!(matches!(one(&root, What::Wait).await, Err(TaskError::TimedOut(_))));
    assert_free(&root).await;

    let run = tokio::spawn(one(root.clone(), What::Wait));
    turn().await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    assert_free(&root).await;

    let mut run = Box::pin(one(&root, What::Wait));
    assert!(poll_once(run.as_mut()).is_pending());
    drop(run);
    assert_free(&root).await;

    // Waits for the permit of another run and is cancelled.
    let holder = tokio::spawn(one(root.clone(), What::Wait));
    turn().await;
    let token = root.child_token();
    let waiting = tokio::spawn(one(token.clone(), What::Return));
    turn().await;
    assert_eq!(stats_of("limit: one").waiting, 1);
    token.cancel();
    assert!(matches!(in_time(waiting).await.unwrap(), Err(TaskError::Cancelled(_))));

    // Is dropped while it waits; the permit goes to the next waiter.
    let dropped = tokio::spawn(one(root.clone(), What::Return));
    turn().await;
    let behind = tokio::spawn(one(root.clone(), What::Return));
    turn().await;
    dropped.abort();
    holder.abort();
    assert_eq!(in_time(behind).await.unwrap().unwrap(), 1);
    assert_free(&root).await;

    let stats = stats_of("limit: one");
    assert_eq!((stats.running, stats.waiting), (0, 0));
    let ended: u64 = Outcome::ALL.iter().map(|outcome| stats.ended(*outcome)).sum();
    assert_eq!(stats.started, ended);
    assert_eq!(
        outcomes_of("limit: one"),
        [
            (Outcome::Ok, 8),
            (Outcome::Panicked, 1),
            (Outcome::Cancelled, 2),
            (Outcome::TimedOut, 1),
            (Outcome::Dropped, 4),
        ]
    );
}

#[tokio::test]
async fn a_full_function_that_rejects_ends_the_call_at_once() {
    #[supervised(limit = 2, on_full = "reject", name = "limit: reject")]
    async fn hold(barrier: &Barrier) -> Result<(), TaskError> {
        barrier.wait().await;
        Ok(())
    }

    let (token, barrier) = (CancellationToken::new(), Barrier::new(3));
    let (mut first, mut second) =
        (Box::pin(hold(&token, &barrier)), Box::pin(hold(&token, &barrier)));
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());

    let error = hold(&token, &barrier).await.unwrap_err();
    let TaskError::Rejected(rejected) = &error else { panic!("{error:?}") };
    assert_eq!((rejected.task(), rejected.limit()), ("limit: reject", 2));
    assert_eq!(error.to_string(), "task `limit: reject` was rejected: all 2 permits are taken");

    let (first, second, _) = in_time(async { tokio::join!(first, second, barrier.wait()) }).await;
    first.and(second).unwrap();
    assert_eq!(outcomes_of("limit: reject"), [(Outcome::Ok, 2), (Outcome::Rejected, 1)]);
}

#[tokio::test]
async fn waiting_runs_are_served_in_order_of_arrival() {
    #[supervised(limit = 1, name = "limit: order")]
    async fn note(order: &std::sync::Mutex<Vec<u32>>, n: u32) -> Result<(), TaskError> {
        turn().await;
        order.lock().unwrap().push(n);
        Ok(())
    }

    let (token, order) = (CancellationToken::new(), std::sync::Mutex::new(Vec::new()));
    in_time(futures::future::join_all((0..20).map(|n| note(&token, &order, n)))).await;
    assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn instances_of_a_generic_function_share_one_limit() {
    #[supervised(limit = 1, on_full = "reject", name = "limit: generic")]
    async fn hold<T>(_value: T) -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let mut first = Box::pin(hold(&token, 1_u32));
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(matches!(hold(&token, "another type").await, Err(TaskError::Rejected(_))));
}

#[tokio::test]
async fn a_const_expression_is_a_limit() {
    const PER_CORE: usize = 2;

    #[supervised(limit = PER_CORE * 2, name = "limit: const")]
    async fn run() {}

    run(&CancellationToken::new()).await;
    assert_eq!(stats_of("limit: const").limit, Some(4));
}
