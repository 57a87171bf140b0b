//! One leak each, as they occur in practice.

use std::{
    future::IntoFuture,
    sync::{Arc, OnceLock},
    task::Poll,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_supervised::{CancellationToken, Group, TaskError, map, supervised, task};

use crate::support::{block_for_ever, keep, kept_pool, wait_for_ever};

#[supervised]
async fn consume(mut lines: mpsc::Receiver<String>) -> Result<(), TaskError> {
    while lines.recv().await.is_some() {}
    Ok(())
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  consume (task ")]
async fn a_forgotten_sender_keeps_its_consumer_alive() {
    static SENDER: OnceLock<mpsc::Sender<String>> = OnceLock::new();
    let (sender, receiver) = mpsc::channel(8);
    SENDER.set(sender).unwrap();
    kept_pool().spawn(|token| consume(token, receiver)).await.unwrap();
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  wait_for_ever (task ")]
async fn an_early_return_skips_the_drain() {
    let pool = kept_pool();
    pool.spawn(wait_for_ever).await.unwrap();
    if pool.len() == 1 {
        return;
    }
    _ = pool.drain(Duration::ZERO).await;
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  wait_for_the_lock (task ")]
async fn a_task_waits_for_a_lock_that_is_never_released() {
    let lock = Arc::new(Mutex::new(()));
    keep(lock.clone().lock_owned().await);
    let task = task!("wait_for_the_lock", |_| -> Result<(), TaskError> {
        drop(lock.lock().await);
        Ok(())
    });
    kept_pool().spawn(task).await.unwrap();
}

/// A group is dropped with its test, and tasks that ignore their abort stay.
#[supervised::test(flavor = "multi_thread", worker_threads = 1)]
#[should_panic(expected = "): polling for ")]
async fn a_loop_that_never_ends_holds_its_worker(token: &CancellationToken) {
    let (started, has_started) = oneshot::channel();
    let group = Group::new(token);
    group.spawn(|token| spin(token, started)).await;
    has_started.await.unwrap();
}

/// Long enough to be found, and bounded, since the other tests need the processor.
#[supervised(allow(no_exit))]
async fn spin(started: oneshot::Sender<()>) -> Result<(), TaskError> {
    _ = started.send(());
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) {
        std::hint::spin_loop();
    }
    Ok(())
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  spin (task ")]
async fn an_endless_loop_does_not_block_a_single_threaded_test(token: &CancellationToken) {
    let pool = kept_pool();
    // Not polled before the body ends.
    let (started, _) = oneshot::channel();
    pool.spawn(|token| spin(token, started)).await.unwrap();
    _ = token;
}

#[supervised::test(allow(detached_spawn))]
#[should_panic(expected = "leaked 1 untracked tokio task:\n\n  1 untracked tokio task, from ")]
async fn a_bare_spawn_is_counted() {
    tokio::spawn(std::future::pending::<()>());
}

#[supervised::test(allow(detached_spawn), flavor = "multi_thread")]
#[should_panic(expected = "leaked 2 tasks and 3 untracked tokio tasks:\n\n")]
async fn bare_spawns_are_counted_beside_tasks() {
    let pool = kept_pool();
    for _ in 0..2 {
        pool.spawn(wait_for_ever).await.unwrap();
    }
    for _ in 0..3 {
        tokio::spawn(std::future::pending::<()>());
    }
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  block (task ")]
async fn a_supervised_blocking_closure_is_a_task() {
    let (started, has_started) = oneshot::channel();
    let block = move |_| {
        _ = started.send(());
        block_for_ever();
        Ok::<_, TaskError>(())
    };
    kept_pool().spawn_blocking("block", block).await.unwrap();
    has_started.await.unwrap();
}

#[supervised::test(allow(detached_spawn))]
#[should_panic(expected = "leaked 1 blocking thread:\n\n  1 blocking thread, from ")]
async fn a_bare_blocking_closure_is_counted_before_it_starts() {
    tokio::task::spawn_blocking(block_for_ever);
}

#[supervised::test(allow(detached_spawn), flavor = "multi_thread", worker_threads = 3)]
#[should_panic(expected = "leaked 1 task and 2 blocking threads:\n\n  block (task ")]
async fn workers_are_no_blocking_threads() {
    let block = |_| {
        block_for_ever();
        Ok::<_, TaskError>(())
    };
    kept_pool().spawn_blocking("block", block).await.unwrap();
    tokio::task::spawn_blocking(block_for_ever);
    tokio::task::spawn_blocking(block_for_ever);
}

#[supervised::test]
#[should_panic(expected = "leaked 3 tasks:\n\n  root (task ")]
async fn children_are_listed_after_their_parents() {
    let (started, mut has_started) = mpsc::channel(2);
    let root = task!("root", |token| -> Result<(), TaskError> {
        let group = Group::new(&token);
        for _ in 0..2 {
            let started = started.clone();
            let leaf = task!("leaf", |_| -> Result<(), TaskError> {
                started.send(()).await.unwrap();
                std::future::pending().await
            });
            group.spawn(leaf).await;
        }
        group.join().await.map(drop)
    });
    kept_pool().spawn(root).await.unwrap();
    has_started.recv().await.unwrap();
    has_started.recv().await.unwrap();
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  square (task ")]
async fn a_map_that_is_not_awaited_to_its_end() {
    let squares = map(&CancellationToken::new(), 0..8_u32, square);
    let mut squares = Box::pin(squares.into_future());
    // Its workers start with the first poll.
    let started =
        std::future::poll_fn(|cx| Poll::Ready(squares.as_mut().poll(cx).is_pending())).await;
    assert!(started);
    keep(squares);
}

#[supervised(limit = 1)]
async fn square(number: u32) -> Result<u32, TaskError> {
    std::future::pending::<()>().await;
    Ok(number * number)
}

#[supervised::test]
#[should_panic(expected = "leaked 1 task:\n\n  forgotten (task ")]
async fn a_group_that_was_forgotten(token: CancellationToken) {
    let group = Group::new(&token);
    group
        .spawn(task!("forgotten", |token| -> Result<(), TaskError> {
            token.cancelled().await;
            Ok(())
        }))
        .await;
    keep(group);
}
