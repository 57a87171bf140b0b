//! Maps over many items that are ready at once.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::sync::Barrier;
use tokio_supervised::{CancellationToken, Outcome, TaskError, map, supervised};

use testkit::{Alive, in_time, outcomes_of, stats_of};

#[tokio::test]
async fn a_waiting_run_among_many_quick_ones_delays_no_other() {
    #[supervised(name = "quick items: waits for the others")]
    async fn last_or_quick(
        barrier: Arc<Barrier>,
        left: Arc<AtomicUsize>,
        n: usize,
    ) -> Result<usize, TaskError> {
        if n == 1_000 || left.fetch_sub(1, SeqCst) == 1 {
            barrier.wait().await;
        }
        Ok(n)
    }

    let (barrier, left) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(1_999)));
    let all = map(&CancellationToken::new(), 0..2_000, move |token, n| {
        last_or_quick(token, barrier.clone(), left.clone(), n)
    });
    assert_eq!(in_time(all.limit(2)).await.unwrap(), (0..2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failure_among_many_quick_items_stops_them_all() {
    #[supervised(name = "quick items: fails")]
    async fn fail(_alive: Alive, n: usize) -> Result<(), TaskError> {
        assert_ne!(n, 1_000);
        Ok(())
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let counted = alive.clone();
    let items = (0..2_000).map(move |n| (Alive::new(&counted), n));
    let all = map(&CancellationToken::new(), items, |token, (alive, n)| fail(token, alive, n));
    in_time(all.limit(4)).await.unwrap_err();
    assert_eq!(alive.load(SeqCst), 0);
    assert_eq!(stats_of("quick items: fails").running, 0);
}

#[tokio::test]
async fn each_item_read_before_a_cancellation_has_its_result() {
    /// The token of the whole map, which is not the run's own.
    #[derive(Clone)]
    struct Fires(CancellationToken);

    #[supervised(name = "quick items: cancelled")]
    async fn cancel(all: Fires, n: usize) -> Result<usize, TaskError> {
        if n == 1_000 {
            all.0.cancel();
            pending::<()>().await;
        }
        Ok(n)
    }

    let token = CancellationToken::new();
    let given = Fires(token.clone());
    let all = map(&token, 0..2_000, move |token, n| cancel(token, given.clone(), n));
    let ends = in_time(all.limit(2).settled()).await;
    assert!((1_001..1_004).contains(&ends.len()), "{}", ends.len());
    for (n, end) in ends.iter().enumerate() {
        match end {
            Ok(value) => assert_eq!(*value, n),
            // The other worker may have used up its budget of 128 runs at an earlier item.
            Err(error) => {
                assert!(n + 130 > 1_000, "{n}: {error}");
                assert_eq!(error.outcome(), Outcome::Cancelled);
            }
        }
    }
}

#[tokio::test]
async fn a_panic_of_the_closure_ends_only_its_item() {
    #[supervised(name = "quick items: made")]
    async fn made(n: usize) -> Result<usize, TaskError> {
        Ok(n)
    }

    let all = map(&CancellationToken::new(), 0..2_000, |token, n: usize| {
        assert_ne!(n % 77, 76, "item {n} fails");
        made(token, n)
    });
    let ends = in_time(all.limit(2).settled()).await;
    assert_eq!(ends.len(), 2_000);
    for (n, end) in ends.into_iter().enumerate() {
        assert_eq!(end.ok(), (n % 77 != 76).then_some(n));
    }
}

#[tokio::test]
async fn a_run_that_fires_its_own_token_stops_no_other() {
    #[supervised(name = "quick items: fires its own")]
    async fn fire(token: &CancellationToken, n: usize) -> Result<usize, TaskError> {
        if n % 100 == 50 {
            token.cancel();
        }
        Ok(n)
    }

    let ends = in_time(map(&CancellationToken::new(), 0..1_000, fire).limit(1).settled()).await;
    assert!(ends.into_iter().map(Result::unwrap).eq(0..1_000));
    assert_eq!(outcomes_of("quick items: fires its own"), [(Outcome::Ok, 1_000)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_quick_items_run_once_each_on_any_number_of_threads() {
    #[supervised(name = "quick items: once")]
    async fn once(seen: Arc<Mutex<Vec<u8>>>, n: usize) -> Result<usize, TaskError> {
        seen.lock().unwrap()[n] += 1;
        Ok(n)
    }

    let seen = Arc::new(Mutex::new(vec![0; 50_000]));
    let given = seen.clone();
    let all =
        map(&CancellationToken::new(), 0..50_000, move |token, n| once(token, given.clone(), n));
    assert!(in_time(all.limit(16)).await.unwrap().into_iter().eq(0..50_000));
    assert!(seen.lock().unwrap().iter().all(|times| *times == 1));
}
