//! A map repeats its decisions if their moment was missed.

use std::{
    future::pending,
    hint::spin_loop,
    iter, panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{Barrier, Notify, Semaphore},
    task::{coop::unconstrained, yield_now},
    time::{sleep, timeout},
};
use tokio_supervised::{
    CancellationToken, Cause, Outcome, TaskError, map, set_limit, supervised, tasks,
};

use testkit::finishes;

fn workers(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Spins until `count` reaches `all`, which requires as many threads.
fn meet_computing(count: &AtomicUsize, all: usize) {
    count.fetch_add(1, SeqCst);
    let since = Instant::now();
    while count.load(SeqCst) < all {
        assert!(since.elapsed() < Duration::from_secs(30), "the others run at the same time");
        spin_loop();
    }
}

#[test]
fn a_run_that_pends_without_budget_lets_the_next_one_start() {
    #[supervised(name = "decisions: meets")]
    async fn item(n: u32, ready: u32, meet: Arc<Notify>) -> Result<(), TaskError> {
        if n == ready {
            meet.notified().await;
        }
        if n == ready + 1 {
            meet.notify_one();
        }
        Ok(())
    }

    for runtime in [one_thread as fn() -> Runtime, || workers(2)] {
        // A budget is 128 units, and a run takes one.
        for ready in [0, 1, 125, 126, 127, 128, 129, 253, 254, 255, 256, 383] {
            finishes(move || {
                runtime().block_on(async move {
                    let (token, meet) = (CancellationToken::new(), Arc::new(Notify::new()));
                    let items = 0..ready + 2;
                    let all =
                        map(&token, items, move |token, n| item(token, n, ready, meet.clone()));
                    assert_eq!(all.limit(8).await.unwrap().len(), ready as usize + 2);
                });
            });
        }
    }
}

/// The body spends the budget itself, in any of its polls.
#[test]
fn a_body_that_spends_its_budget_lets_the_next_one_start() {
    #[supervised(name = "decisions: spends")]
    async fn item(n: u32, polls: usize, meet: Arc<Barrier>) -> Result<(), TaskError> {
        if n == 0 {
            for _ in 0..polls {
                let many = Semaphore::new(1_000);
                for _ in 0..200 {
                    many.acquire().await.unwrap().forget();
                }
                yield_now().await;
            }
        }
        unconstrained(meet.wait()).await;
        Ok(())
    }

    for polls in 0..3 {
        finishes(move || {
            one_thread().block_on(async move {
                let (token, meet) = (CancellationToken::new(), Arc::new(Barrier::new(2)));
                let all = map(&token, 0..2, move |token, n| item(token, n, polls, meet.clone()));
                all.limit(2).await.unwrap();
            });
        });
    }
}

#[test]
fn a_map_follows_a_limit_that_is_raised_while_its_runs_wait() {
    #[supervised(name = "decisions: raised", limit = 1)]
    async fn meets(n: usize, meet: Arc<Barrier>) -> Result<usize, TaskError> {
        meet.wait().await;
        Ok(n)
    }

    for runtime in [one_thread as fn() -> Runtime, || workers(2)] {
        finishes(move || {
            runtime().block_on(async {
                for size in [2, 5] {
                    let (token, meet) = (CancellationToken::new(), Arc::new(Barrier::new(size)));
                    let started = meets(CancellationToken::new(), 0, Arc::new(Barrier::new(1)));
                    started.await.unwrap();
                    set_limit("decisions: raised", 1).unwrap();
                    let all = map(&token, 0..size, move |token, n| meets(token, n, meet.clone()));
                    let all = tokio::spawn(all);
                    // The first run waits for the others.
                    while !tasks().iter().any(|task| task.name == "decisions: raised") {
                        yield_now().await;
                    }
                    for _ in 0..20 {
                        yield_now().await;
                    }
                    set_limit("decisions: raised", size).unwrap();
                    assert_eq!(all.await.unwrap().unwrap().len(), size);
                }
            });
        });
    }
}

#[test]
fn items_that_compute_after_quick_ones_share_the_threads() {
    #[supervised(name = "decisions: computes")]
    async fn item(n: usize, quick: usize, here: Arc<AtomicUsize>) -> Result<(), TaskError> {
        if n >= quick {
            meet_computing(&here, 3);
        }
        Ok(())
    }

    for quick in [0, 1, 2, 10, 100, 1_000, 20_000] {
        finishes(move || {
            workers(4).block_on(async move {
                let (token, here) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
                let items = 0..quick + 3;
                let all = map(&token, items, move |token, n| item(token, n, quick, here.clone()));
                all.limit(8).await.unwrap();
            });
        });
    }
}

#[test]
fn items_that_compute_beside_one_that_pends_share_the_threads() {
    #[supervised(name = "decisions: beside")]
    async fn item(
        n: usize,
        here: Arc<AtomicUsize>,
        all_here: Arc<Notify>,
    ) -> Result<(), TaskError> {
        if n == 0 {
            all_here.notified().await;
        } else {
            meet_computing(&here, 3);
            all_here.notify_one();
        }
        Ok(())
    }

    finishes(|| {
        workers(4).block_on(async {
            let (token, here) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
            let all_here = Arc::new(Notify::new());
            let all =
                map(&token, 0..4, move |token, n| item(token, n, here.clone(), all_here.clone()));
            all.limit(8).await.unwrap();
        });
    });
}

/// An iterator that blocks after a few items until the sender is dropped.
fn blocks_after(items: usize) -> (mpsc::Sender<usize>, mpsc::IntoIter<usize>) {
    let (send, receive) = mpsc::channel();
    for n in 0..items {
        send.send(n).unwrap();
    }
    (send, receive.into_iter())
}

#[supervised(name = "decisions: blocked", limit = 16)]
async fn short(n: usize) -> Result<usize, TaskError> {
    sleep(Duration::from_millis(1)).await;
    Ok(n)
}

#[supervised(name = "decisions: counted", limit = 16)]
async fn counted(n: usize, ended: Arc<AtomicUsize>) -> Result<usize, TaskError> {
    sleep(Duration::from_millis(1)).await;
    ended.fetch_add(1, SeqCst);
    Ok(n)
}

#[test]
fn an_iterator_that_blocks_holds_one_worker() {
    for items in [0, 1, 2, 20] {
        finishes(move || {
            let runtime = workers(2);
            let (unblock, blocked) = blocks_after(items);
            let mapping = runtime.spawn(async move {
                let ended = Arc::new(AtomicUsize::new(0));
                let counts = ended.clone();
                let token = CancellationToken::new();
                let all = map(&token, blocked, move |token, n| counted(token, n, counts.clone()));
                timeout(Duration::from_millis(300), all).await.unwrap_err();
                // The other worker runs tasks.
                for _ in 0..10 {
                    tokio::spawn(yield_now()).await.unwrap();
                }
                assert_eq!(ended.load(SeqCst), items, "each item that was read has run");
            });
            runtime.block_on(mapping).unwrap();
            drop(unblock);
        });
    }
}

#[test]
fn a_token_that_fires_ends_a_map_whose_iterator_blocks() {
    for items in [0, 1, 20] {
        finishes(move || {
            let runtime = workers(2);
            let (unblock, blocked) = blocks_after(items);
            let (unblock_settled, blocked_settled) = blocks_after(items);
            let token = CancellationToken::new();
            let fires = token.clone();
            runtime.block_on(async move {
                let all = tokio::spawn({
                    let token = token.clone();
                    async move { map(&token, blocked, short).await }
                });
                sleep(Duration::from_millis(50)).await;
                token.cancel();
                let error = all.await.unwrap().unwrap_err();
                assert_eq!(error.outcome(), Outcome::Cancelled, "{error}");
                drop(unblock);

                let token = CancellationToken::new();
                let all = tokio::spawn({
                    let token = token.clone();
                    async move { map(&token, blocked_settled, short).settled().await }
                });
                sleep(Duration::from_millis(50)).await;
                token.cancel();
                let mut ends = all.await.unwrap();
                let last = ends.pop().unwrap().unwrap_err();
                assert!(matches!(last, TaskError::Cancelled(_)), "{last}");
                assert!(ends.into_iter().map(Result::unwrap).eq(0..items));
                drop(unblock_settled);
            });
            fires.cancel();
            drop(runtime);
        });
    }
}

#[test]
fn a_failure_ends_a_map_whose_iterator_blocks() {
    #[supervised(name = "decisions: fails beside")]
    async fn fails(n: usize, reads: Arc<Notify>) -> Result<(), TaskError> {
        if n == 0 {
            reads.notified().await;
            panic!("the first item");
        }
        pending().await
    }

    finishes(|| {
        let runtime = workers(3);
        let reads = Arc::new(Notify::new());
        let (unblock, is_blocked) = mpsc::channel::<()>();
        let is_blocked = Mutex::new(is_blocked);
        let item_reads = reads.clone();
        let items = iter::once(0).chain(iter::once(1)).chain(iter::from_fn(move || {
            reads.notify_one();
            _ = is_blocked.lock().unwrap().recv();
            None
        }));
        let failed = runtime.block_on(runtime.spawn(async move {
            map(&CancellationToken::new(), items, move |token, n| {
                fails(token, n, item_reads.clone())
            })
            .limit(8)
            .await
        }));
        let error = failed.unwrap().unwrap_err();
        assert_eq!(error.outcome(), Outcome::Panicked, "{error}");
        drop(unblock);
        drop(runtime);
    });
}

/// Items that occupy a thread finish one after the other, without waiting for the next one to be read.
#[test]
fn workers_that_wait_for_a_slow_iterator_continue() {
    finishes(|| {
        workers(4).block_on(async {
            let items = (0..300).inspect(|_| {
                let since = Instant::now();
                while since.elapsed() < Duration::from_micros(50) {
                    spin_loop();
                }
            });
            let all = map(&CancellationToken::new(), items, short).limit(16).await.unwrap();
            assert!(all.into_iter().eq(0..300));
        });
    });
}

#[supervised(name = "decisions: finishes")]
async fn finishes_after(
    token: &CancellationToken,
    n: usize,
    started: Arc<AtomicUsize>,
) -> Result<usize, TaskError> {
    started.fetch_add(1, SeqCst);
    token.cancelled().await;
    yield_now().await;
    Ok(n)
}

#[test]
fn no_item_is_read_once_the_token_has_fired() {
    for runtime in [one_thread as fn() -> Runtime, || workers(2)] {
        for limit in [1, 2, 8] {
            for settles in [false, true] {
                finishes(move || {
                    runtime().block_on(async move {
                        let read = Arc::new(AtomicUsize::new(0));
                        let started = Arc::new(AtomicUsize::new(0));
                        let counts = read.clone();
                        let items = (0..1_000).inspect(move |_| _ = counts.fetch_add(1, SeqCst));
                        let token = CancellationToken::new();
                        let of_items = Arc::clone(&started);
                        let all = map(&token, items, move |token, n| {
                            finishes_after(token, n, of_items.clone())
                        });
                        let all = tokio::spawn(async move {
                            if settles {
                                all.limit(limit).settled().await
                            } else {
                                vec![all.limit(limit).await.map(|all| all.len())]
                            }
                        });
                        while started.load(SeqCst) < limit {
                            yield_now().await;
                        }
                        token.cancel();
                        let before = read.load(SeqCst);
                        let mut ends = all.await.unwrap();
                        assert_eq!(read.load(SeqCst), before, "limit {limit}");
                        let last = ends.pop().unwrap().unwrap_err();
                        assert_eq!(last.outcome(), Outcome::Cancelled, "{last}");
                        let TaskError::Cancelled(last) = last else { unreachable!() };
                        assert_eq!(last.task(), "decisions: finishes");
                        assert_eq!(last.cause(), Cause::Token);
                        assert_eq!(ends.len(), if settles { limit } else { 0 });
                        assert!(ends.iter().all(Result::is_ok));
                    });
                });
            }
        }
    }
}

#[test]
fn a_map_whose_input_was_read_when_the_token_fired_is_complete() {
    finishes(|| {
        one_thread().block_on(async {
            let (token, started) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
            let of_items = started.clone();
            let all = map(&token, 0..3, move |token, n| finishes_after(token, n, of_items.clone()));
            let all = tokio::spawn(async move { all.limit(8).await });
            while started.load(SeqCst) < 3 {
                yield_now().await;
            }
            token.cancel();
            assert_eq!(all.await.unwrap().unwrap(), [0, 1, 2]);
        });
    });
}

#[test]
fn a_map_whose_token_fired_before_it_started_reads_nothing() {
    finishes(|| {
        one_thread().block_on(async {
            let token = CancellationToken::new();
            token.cancel();
            let unread = || (0..3).inspect(|_| panic!("an item is read"));
            let error = map(&token, unread(), short).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Cancelled, "{error}");
            let ends = map(&token, unread(), short).settled().await;
            assert_eq!(ends.len(), 1);
            assert_eq!(ends[0].as_ref().unwrap_err().outcome(), Outcome::Cancelled);
        });
    });
}

/// Whether `work`, whose items are endless, stops when its token fires.
fn stops_when_cancelled(
    work: impl FnOnce(CancellationToken, Arc<AtomicU64>) -> Result<usize, TaskError> + Send + 'static,
) {
    finishes(|| {
        let (token, read) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let (fires, counts) = (token.clone(), read.clone());
        let cancels = std::thread::spawn(move || {
            while counts.load(SeqCst) < 500 {
                std::thread::yield_now();
            }
            fires.cancel();
        });
        _ = work(token, read);
        cancels.join().unwrap();
    });
}

/// Suppresses the output of many panics.
struct Quiet;

impl Quiet {
    fn unwind() -> ! {
        panic::resume_unwind(Box::new("an item"))
    }
}

#[test]
fn a_settled_map_whose_closure_panics_stops_when_cancelled() {
    for runtime in [one_thread as fn() -> Runtime, || workers(2)] {
        stops_when_cancelled(move |token, read| {
            let items = (0..).inspect(move |_| _ = read.fetch_add(1, SeqCst));
            let all = map(&token, items, |token, n: usize| {
                if n > 2 {
                    Quiet::unwind();
                }
                short(token, n)
            });
            Ok(runtime().block_on(async { all.settled().await.len() }))
        });
    }
}

#[test]
fn a_settled_map_whose_closure_panics_shares_its_thread() {
    finishes(|| {
        one_thread().block_on(async {
            let (goes_on, count) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
            let looks = goes_on.clone();
            let items = (0..).take_while(move |_| looks.load(SeqCst));
            let all = tokio::spawn(async move {
                let all = map(&CancellationToken::new(), items, |token, n: usize| {
                    if n < usize::MAX {
                        Quiet::unwind();
                    }
                    short(token, n)
                });
                all.settled().await.len()
            });
            for _ in 0..10 {
                count.fetch_add(1, SeqCst);
                yield_now().await;
            }
            goes_on.store(false, SeqCst);
            assert!(all.await.unwrap() > 0);
        });
    });
}

#[test]
fn a_loop_over_ready_maps_is_pending_now_and_then() {
    finishes(|| {
        one_thread().block_on(async {
            let fired = CancellationToken::new();
            fired.cancel();
            let live = CancellationToken::new();
            for token in [&live, &fired] {
                let maps = async {
                    loop {
                        _ = map(token, [], short).await;
                        _ = map(token, [], short).settled().await;
                        _ = map(token, [], short).limit(3).await;
                        if token.is_cancelled() {
                            _ = map(token, [1], short).await;
                        }
                    }
                };
                let ended: Result<(), _> = timeout(Duration::from_millis(20), maps).await;
                ended.unwrap_err();
            }
        });
    });
}

#[supervised(name = "decisions: large")]
async fn large(n: usize) -> Result<usize, TaskError> {
    let bytes = std::hint::black_box([1_u8; 96 * 1024]);
    yield_now().await;
    Ok(n + usize::from(bytes[n]))
}

#[test]
fn a_large_body_fits_the_stack_of_a_worker() {
    finishes(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let all = runtime.spawn(async {
            map(&CancellationToken::new(), 0..5, large).limit(3).await.unwrap().len()
        });
        assert_eq!(runtime.block_on(all).unwrap(), 5);
    });
}
