//! Blocking closures in groups and pools.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_supervised::{CancellationToken, Group, Outcome, Pool, TaskError};

use testkit::{in_time, outcomes_of, poll_once, stats_of, turn};

const SECOND: Duration = Duration::from_secs(1);

/// A closure that reports when it has started and ends on request.
fn gated() -> (impl FnOnce(CancellationToken) -> anyhow::Result<u32> + Send, Gatekeeper) {
    let started = Arc::new(Semaphore::new(0));
    let (end, is_over) = mpsc::channel();
    let has_started = started.clone();
    let work = move |_| {
        has_started.add_permits(1);
        Ok(is_over.recv()?)
    };
    (work, Gatekeeper { started, end })
}

struct Gatekeeper {
    started: Arc<Semaphore>,
    end: mpsc::Sender<u32>,
}

impl Gatekeeper {
    async fn started(&self) {
        in_time(self.started.acquire()).await.unwrap().forget();
    }
}

#[tokio::test]
async fn a_group_joins_the_value_of_a_closure_that_blocks() {
    let group = Group::new(&CancellationToken::new());
    let (work, keeper) = gated();
    group.spawn_blocking("blocking: joined", work).await;
    keeper.started().await;
    assert_eq!(stats_of("blocking: joined").running, 1);
    keeper.end.send(7).unwrap();
    assert_eq!(in_time(group.join()).await.unwrap(), [7]);
    assert_eq!(outcomes_of("blocking: joined"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn a_panic_of_a_blocking_closure_cancels_the_siblings() {
    let group: Group<(), anyhow::Error> = Group::new(&CancellationToken::new());
    let handle = group.handle();
    let (sender, receiver) = mpsc::channel();
    group
        .spawn_blocking("blocking: sibling", move |token| {
            sender.send(token.clone())?;
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
            Ok(())
        })
        .await;
    tokio::task::spawn_blocking(move || receiver.recv()).await.unwrap().unwrap();
    let panics = |_: CancellationToken| panic!("a broken closure");
    handle.spawn_blocking("blocking: panics", panics).await.unwrap();
    let error = in_time(group.join()).await.unwrap_err();
    let error = error.downcast::<TaskError>().unwrap();
    assert_eq!((error.task(), error.outcome()), ("blocking: panics", Outcome::Panicked));
    assert!(error.to_string().ends_with(": a broken closure"), "{error}");
    assert_eq!(outcomes_of("blocking: sibling"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn a_closure_cancelled_before_its_thread_starts_is_not_called() {
    // The only thread is busy: the second closure stays in the queue.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let test = handle.spawn(async {
        let token = CancellationToken::new();
        let group: Group<u32, anyhow::Error> = Group::new(&token);
        let (work, keeper) = gated();
        group.spawn_blocking("blocking: first", work).await;
        keeper.started().await;
        group.spawn_blocking("blocking: queued", |_| unreachable!("it is cancelled")).await;
        token.cancel();
        keeper.end.send(1).unwrap();
        let error = in_time(group.join()).await.unwrap_err();
        assert!(matches!(error.downcast().unwrap(), TaskError::Cancelled(_)));
        assert_eq!(outcomes_of("blocking: first"), [(Outcome::Ok, 1)]);
        assert_eq!(outcomes_of("blocking: queued"), [(Outcome::Cancelled, 1)]);
    });
    in_time(test).await.unwrap();
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_closure_counts_in_its_pool_until_its_thread_is_done() {
    let pool = Pool::new(1);
    let (work, keeper) = gated();
    pool.spawn_blocking("blocking: counts", work).await.unwrap();
    keeper.started().await;
    let mut second = Box::pin(pool.spawn_blocking("blocking: second", |_| anyhow::Ok(())));
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(pool.len(), 1);
    keeper.end.send(1).unwrap();
    in_time(second).await.unwrap();
    in_time(pool.drain(60 * SECOND)).await.unwrap();
    assert_eq!(outcomes_of("blocking: counts"), [(Outcome::Ok, 1)]);
    assert_eq!(outcomes_of("blocking: second"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn a_drain_names_a_closure_that_holds_its_thread_and_returns() {
    let pool = Pool::new(1);
    let (work, keeper) = gated();
    pool.spawn_blocking("blocking: stuck", work).await.unwrap();
    keeper.started().await;
    for _ in 0..2 {
        let drained = in_time(pool.drain(Duration::from_millis(20))).await;
        let unfinished = drained.unwrap_err();
        let [task] = unfinished.tasks() else { panic!("{unfinished}") };
        assert_eq!((task.name, task.state.blocks_thread()), ("blocking: stuck", true));
        assert!(unfinished.to_string().contains(": blocking for "), "{unfinished}");
    }
    assert_eq!(pool.len(), 1, "nothing can abort it");
    keeper.end.send(1).unwrap();
    in_time(async {
        while !pool.is_empty() {
            turn().await;
        }
    })
    .await;
    let again = in_time(pool.drain(SECOND)).await.unwrap_err();
    assert_eq!(again.tasks().len(), 1, "the same as the first: {again}");
}

#[tokio::test]
async fn a_closure_that_checks_its_token_stops_when_drained() {
    let pool = Pool::new(1);
    pool.spawn_blocking("blocking: obeys", |token| -> anyhow::Result<()> {
        while !token.is_cancelled() {
            std::thread::yield_now();
        }
        Ok(())
    })
    .await
    .unwrap();
    in_time(pool.drain(SECOND / 10)).await.unwrap();
    assert_eq!(outcomes_of("blocking: obeys"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn there_is_one_set_of_counters_for_each_name_and_place() {
    let pool = Pool::new(4);
    let seen = Arc::new(Mutex::new(0));
    for _ in 0..50 {
        let seen = seen.clone();
        pool.spawn_blocking("blocking: interned", move |_| -> anyhow::Result<()> {
            *seen.lock().unwrap() += 1;
            Ok(())
        })
        .await
        .unwrap();
    }
    in_time(pool.drain(60 * SECOND)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), 50);
    let all = tokio_supervised::stats();
    let same: Vec<_> = all.iter().filter(|task| task.name == "blocking: interned").collect();
    let [stats] = same[..] else { panic!("{same:?}") };
    assert_eq!(stats.ended(Outcome::Ok), 50);
    assert!(stats.place.file().ends_with("spawn_blocking.rs"), "{}", stats.place);
}
