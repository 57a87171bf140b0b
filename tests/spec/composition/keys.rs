//! No value that changes concurrently is used as a sort key, an index or a length twice.

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio_supervised::{
    CancellationToken, Group, Pool, TaskError, map, stats, supervised, task, tasks,
};

use testkit::finishes;

#[supervised(name = "keys: quick", limit = 64)]
async fn quick(n: u64) -> Result<u64, TaskError> {
    tokio::task::yield_now().await;
    Ok(n)
}

/// Calls everything that reads live tasks and counters. Panics if one of them relies on a value that has changed
/// since.
fn reader() {
    let tasks = tasks();
    let mut depth = 0;
    for task in &tasks {
        assert!(task.depth <= depth + 1, "a child follows its parent or its siblings");
        depth = task.depth;
    }
    assert!(!tasks.to_string().is_empty());
    assert!(stats().iter().all(|stats| !stats.name.is_empty()));
}

/// Workers of a map reset the start time of their record with each item; groups and pools are created, grow and
/// end.
async fn churn(is_over: Arc<AtomicBool>) {
    let token = CancellationToken::new();
    while !is_over.load(Ordering::Relaxed) {
        map(&token, 0..2_000, quick).await.unwrap();
        let (group, pool) = (Group::<u64, TaskError>::new(&token), Pool::new(8));
        for n in 0..32 {
            group.spawn(move |token| quick(token, n)).await;
            _ = pool.try_spawn(move |token| quick(token, n));
        }
        let nested = task!("keys: nested", |token| -> Result<u64, TaskError> {
            let inner: Group<u64, TaskError> = Group::new(&token);
            inner.spawn(|token| quick(token, 1)).await;
            inner.join().await.map(|values| values.len() as u64)
        });
        group.spawn(nested).await;
        group.join().await.unwrap();
        _ = pool.drain(Duration::from_secs(60)).await;
    }
}

#[test]
fn listing_tasks_while_they_change_does_not_panic() {
    let panicked = finishes(|| {
        let is_over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let is_over = is_over.clone();
                thread::spawn(move || {
                    let started = Instant::now();
                    let mut panicked = false;
                    while !panicked && started.elapsed() < Duration::from_secs(3) {
                        panicked = panic::catch_unwind(reader).is_err();
                    }
                    is_over.store(true, Ordering::Relaxed);
                    panicked
                })
            })
            .collect();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .unwrap()
            .block_on(churn(is_over));
        readers.into_iter().any(|reader| reader.join().unwrap())
    });
    assert!(!panicked, "listing the live tasks panicked");
}
