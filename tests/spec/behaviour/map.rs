//! Maps: order, limits, laziness.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::{Barrier, Semaphore};
use tokio_supervised::{CancellationToken, TaskError, map, supervised};

use testkit::{in_time, stats_of, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_results_are_in_the_order_of_the_items() {
    #[supervised(name = "map: order")]
    async fn uneven(n: u32) -> Result<u32, TaskError> {
        for _ in 0..n % 7 {
            turn().await;
        }
        Ok(n)
    }

    let results = in_time(map(&CancellationToken::new(), 0..1_000, uneven)).await.unwrap();
    assert_eq!(results, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_function_without_parameters_takes_a_closure() {
    #[supervised(name = "map: closure")]
    async fn add(to: Arc<AtomicUsize>, n: usize) {
        to.fetch_add(n, SeqCst);
    }

    let sum = Arc::new(AtomicUsize::new(0));
    let into = sum.clone();
    let done =
        map(&CancellationToken::new(), vec![1, 2, 3], move |token, n| add(token, into.clone(), n));
    assert_eq!(in_time(done).await.unwrap().len(), 3);
    assert_eq!(sum.load(SeqCst), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_of_the_map_bounds_the_runs_and_is_reached() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static PEAK: AtomicUsize = AtomicUsize::new(0);

    #[supervised(name = "map: limit")]
    async fn meet(barrier: Arc<Barrier>) -> Result<(), TaskError> {
        PEAK.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
        barrier.wait().await;
        RUNNING.fetch_sub(1, SeqCst);
        Ok(())
    }

    let barrier = Arc::new(Barrier::new(5));
    let items = (0..50).map(move |_| barrier.clone());
    in_time(map(&CancellationToken::new(), items, meet).limit(5)).await.unwrap();
    assert_eq!(PEAK.load(SeqCst), 5);
}

#[tokio::test]
async fn a_map_without_a_limit_uses_that_of_its_function() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);

    #[supervised(limit = 3, name = "map: own limit")]
    async fn meet(barrier: Arc<Barrier>) -> Result<usize, TaskError> {
        let running = RUNNING.fetch_add(1, SeqCst) + 1;
        barrier.wait().await;
        RUNNING.fetch_sub(1, SeqCst);
        Ok(running)
    }

    let barrier = Arc::new(Barrier::new(3));
    let items = (0..9).map(move |_| barrier.clone());
    let peaks = in_time(map(&CancellationToken::new(), items, meet)).await.unwrap();
    assert_eq!(peaks.into_iter().max(), Some(3));
    assert_eq!(stats_of("map: own limit").permit_waits.count(), 9);
}

#[tokio::test]
async fn a_run_with_another_token_does_not_affect_later_items() {
    #[supervised(name = "map: own token")]
    async fn work(given: bool) -> Result<bool, TaskError> {
        Ok(given)
    }

    let own = CancellationToken::new();
    let token = CancellationToken::new();
    let given = in_time(map(&token, 0..4, move |token, n| {
        let is_fired = token.is_cancelled();
        if n == 0 {
            work(own.clone(), is_fired)
        } else {
            own.cancel();
            work(token, is_fired)
        }
    }));
    assert_eq!(given.await.unwrap(), [false; 4]);
}

#[tokio::test]
async fn without_any_limit_four_runs_per_thread_are_started() {
    #[supervised(name = "map: no limit")]
    async fn meet((running, go_on): (Arc<AtomicUsize>, Arc<Semaphore>)) -> Result<(), TaskError> {
        running.fetch_add(1, SeqCst);
        _ = go_on.acquire().await;
        Ok(())
    }

    let most = 4 * std::thread::available_parallelism().unwrap().get();
    let (running, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let given = (running.clone(), go_on.clone());
    let items = (0..10 * most).map(move |_| given.clone());
    let token = CancellationToken::new();
    let map = map(&token, items, meet);
    let (ended, ()) = in_time(async {
        tokio::join!(map, async {
            while running.load(SeqCst) < most {
                turn().await;
            }
            // Lets other runs start.
            for _ in 0..100 {
                turn().await;
            }
            assert_eq!(running.load(SeqCst), most);
            go_on.close();
        })
    })
    .await;
    assert_eq!(ended.unwrap().len(), 10 * most);
}

#[tokio::test]
async fn the_iterator_is_read_as_runs_end() {
    #[supervised(name = "map: lazy")]
    async fn lag(read: Arc<AtomicUsize>, n: usize) -> Result<usize, TaskError> {
        turn().await;
        Ok(read.load(SeqCst) - n)
    }

    let read = Arc::new(AtomicUsize::new(0));
    let (counted, seen) = (read.clone(), read.clone());
    let items = (0..100).inspect(move |_| {
        counted.fetch_add(1, SeqCst);
    });
    let ahead = map(&CancellationToken::new(), items, move |token, n| lag(token, seen.clone(), n));
    let ahead = in_time(ahead.limit(4)).await.unwrap();
    assert!(ahead.iter().all(|ahead| *ahead <= 8), "{ahead:?}");
}

#[tokio::test]
async fn a_map_without_items_has_no_results() {
    #[supervised(name = "map: empty")]
    async fn never(_: u32) -> Result<(), TaskError> {
        Ok(())
    }

    let token = CancellationToken::new();
    token.cancel();
    assert_eq!(in_time(map(&token, [], never)).await.unwrap(), []);
    assert_eq!(in_time(map(&token, [], never).settled()).await.len(), 0);
}

#[tokio::test]
async fn a_slow_item_delays_no_other() {
    #[supervised(name = "map: slow")]
    async fn wait_for(
        others: Arc<Barrier>,
        done: Arc<AtomicUsize>,
        n: u32,
    ) -> Result<(), TaskError> {
        if n == 0 || done.fetch_add(1, SeqCst) + 1 == 99 {
            others.wait().await;
        }
        Ok(())
    }

    let (barrier, done) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
    let all = map(&CancellationToken::new(), 0..100, move |token, n| {
        wait_for(token, barrier.clone(), done.clone(), n)
    });
    in_time(all.limit(2)).await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "a limit must not be 0")]
async fn a_limit_of_zero_panics_with_a_sentence() {
    #[supervised(name = "map: zero")]
    async fn never(_: u32) {}

    drop(map(&CancellationToken::new(), [1], never).limit(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn runs_that_compute_are_shared_between_the_threads() {
    /// Continues when the other task has arrived as well; a barrier would wait for ever.
    #[supervised(name = "map: computes")]
    async fn computes(here: Arc<AtomicUsize>) -> Result<(), TaskError> {
        here.fetch_add(1, SeqCst);
        let started = std::time::Instant::now();
        while here.load(SeqCst) < 2 {
            assert!(started.elapsed() < std::time::Duration::from_secs(60), "alone");
            std::hint::spin_loop();
        }
        Ok(())
    }

    let here = Arc::new(AtomicUsize::new(0));
    let items = [here.clone(), here];
    in_time(map(&CancellationToken::new(), items, computes).limit(2)).await.unwrap();
}
