//! Fan-out over items that are ready at once: what is read ahead of them, and what becomes of it.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::sync::Barrier;
use tokio_supervised::{CancellationToken, Outcome, TaskError, map, supervised};

use crate::support::{Alive, in_time, outcomes_of, stats_of};

/// Quick enough to be read ahead, as soon as some of them have been.
#[supervised(name = "batch: quick")]
async fn quick(begun: Arc<AtomicUsize>, n: usize) -> Result<usize, TaskError> {
    begun.fetch_add(1, SeqCst);
    Ok(n)
}

/// The most items that had been read, and not begun, whenever one was read.
async fn read_ahead(items: impl Iterator<Item = usize> + Send + 'static) -> usize {
    let (begun, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, highest, mut read) = (begun.clone(), most.clone(), 0);
    let items = items.inspect(move |_| {
        highest.fetch_max(read - seen.load(SeqCst), SeqCst);
        read += 1;
    });
    let all = map(&CancellationToken::new(), items, move |token, n| quick(token, begun.clone(), n));
    assert_eq!(in_time(all.limit(1)).await.unwrap(), (0..2_000).collect::<Vec<_>>());
    most.load(SeqCst)
}

#[tokio::test]
async fn no_more_than_32_items_are_read_ahead() {
    assert!(read_ahead(0..2_000).await < 32);
}

#[tokio::test]
async fn an_iterator_that_may_wait_for_its_items_is_read_item_by_item() {
    let (send, receive) = std::sync::mpsc::channel();
    (0..2_000).for_each(|n| send.send(n).unwrap());
    drop(send);
    assert_eq!(read_ahead(receive.into_iter()).await, 0);
}

#[tokio::test]
async fn what_was_read_ahead_of_a_pending_run_is_begun_by_others() {
    #[supervised(name = "batch: waits for the others")]
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
async fn a_failure_drops_what_was_read_ahead() {
    #[supervised(name = "batch: fails")]
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
    assert_eq!(stats_of("batch: fails").running, 0);
}

#[tokio::test]
async fn settled_after_a_cancellation_every_item_that_was_read_has_its_own_result() {
    /// The token of them all, which is not the run's own.
    #[derive(Clone)]
    struct Fires(CancellationToken);

    #[supervised(name = "batch: cancelled")]
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
    assert!((1_001..1_001 + 2 * 32).contains(&ends.len()), "{}", ends.len());
    for (n, end) in ends.iter().enumerate() {
        match end {
            Ok(value) => assert_eq!(*value, n),
            // What another runner had read ahead had not begun either.
            Err(error) => {
                assert!(n > 1_000 - 32 && error.outcome() == Outcome::Cancelled, "{n}: {error}")
            }
        }
    }
}

#[tokio::test]
async fn a_panic_of_the_closure_is_the_end_of_its_item_alone() {
    #[supervised(name = "batch: made")]
    async fn made(n: usize) -> Result<usize, TaskError> {
        Ok(n)
    }

    let all = map(&CancellationToken::new(), 0..2_000, |token, n: usize| {
        assert_ne!(n % 77, 76, "no {n}");
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
    #[supervised(name = "batch: fires its own")]
    async fn fire(token: &CancellationToken, n: usize) -> Result<usize, TaskError> {
        if n % 100 == 50 {
            token.cancel();
        }
        Ok(n)
    }

    let ends = in_time(map(&CancellationToken::new(), 0..1_000, fire).limit(1).settled()).await;
    assert!(ends.into_iter().map(Result::unwrap).eq(0..1_000));
    assert_eq!(outcomes_of("batch: fires its own"), [(Outcome::Ok, 1_000)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_quick_items_are_each_run_once_on_however_many_threads() {
    #[supervised(name = "batch: once")]
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
