//! No leaks are reported in these cases.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::LocalSet,
};
use tokio_supervised::{
    CancellationToken, Group, Pool, Ready, Services, TaskError, map, supervised, task,
};

use crate::support::{kept_pool, wait_for_ever};

#[supervised]
async fn double(number: u32) -> Result<u32, TaskError> {
    tokio::task::yield_now().await;
    Ok(2 * number)
}

#[supervised::test]
async fn a_task_that_ends_slightly_late() {
    let late = task!("late", |_| -> Result<(), TaskError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    });
    kept_pool().spawn(late).await.unwrap();
}

#[supervised::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_ends_slightly_late_on_a_worker() {
    let late = task!("late", |_| -> Result<(), TaskError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    });
    kept_pool().spawn(late).await.unwrap();
}

#[supervised::test(allow(detached_spawn))]
async fn a_bare_task_and_a_bare_thread_that_end_slightly_late() {
    tokio::spawn(tokio::time::sleep(Duration::from_millis(1)));
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || receiver.recv());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(sender);
    });
}

#[supervised::test]
async fn tasks_that_are_dropped_with_the_body(token: &CancellationToken) {
    let group = Group::new(token);
    group.spawn(wait_for_ever).await;
    let pool = Pool::new(1);
    pool.spawn(wait_for_ever).await.unwrap();
}

#[supervised::test]
async fn services_that_a_test_starts_and_stops(token: CancellationToken) {
    #[supervised]
    async fn serve(
        token: &CancellationToken,
        ready: Ready,
        port: oneshot::Sender<u16>,
    ) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        _ = port.send(listener.local_addr()?.port());
        ready.set();
        token.cancelled().await;
        Ok(())
    }

    let (sender, port) = oneshot::channel();
    let stop = token.clone();
    let requests = task!("requests", |_| async move {
        let port = port.await?;
        TcpStream::connect(("127.0.0.1", port)).await?;
        anyhow::Ok(())
    });
    let services = Services::new(&token)
        .service_with_ready("http", |token, ready| serve(token, ready, sender))
        .step("requests", requests)
        .background(
            "stop",
            task!("stop", |_| async move {
                stop.cancel();
                anyhow::Ok(())
            }),
        );
    services.run().await.unwrap();
}

async fn map_group_and_pool(token: &CancellationToken) {
    let doubled = map(token, 0..100, double).await.unwrap();
    assert_eq!(doubled[99], 198);
    let group = Group::new(token);
    for number in 0..100 {
        group.spawn(|token| double(token, number)).await;
    }
    assert_eq!(group.join().await.unwrap().len(), 100);
    let pool = Pool::new(8);
    for _ in 0..100 {
        pool.spawn(task!("nothing", |_| async { Ok::<_, TaskError>(()) })).await.unwrap();
    }
    pool.spawn_blocking("nothing", |_| Ok::<_, TaskError>(())).await.unwrap();
    pool.drain(Duration::from_secs(60)).await.unwrap();
}

#[supervised::test]
async fn a_map_a_group_and_a_pool_that_have_ended(token: &CancellationToken) {
    map_group_and_pool(token).await;
}

#[supervised::test(flavor = "multi_thread")]
async fn a_map_a_group_and_a_pool_that_have_ended_on_workers(token: &CancellationToken) {
    map_group_and_pool(token).await;
}

#[supervised::test]
async fn tasks_of_a_local_set(token: &CancellationToken) {
    let (sender, mut receiver) = mpsc::channel(1);
    let set = LocalSet::new();
    set.run_until(async {
        let group = Group::new(token);
        group
            .spawn_local(task!("local", |_| -> Result<(), TaskError> {
                sender.send(std::rc::Rc::new(1)).await.unwrap();
                Ok(())
            }))
            .await;
        assert_eq!(*receiver.recv().await.unwrap(), 1);
        group.join().await.unwrap();
    })
    .await;
}

/// Each test has its own tasks and its own runtime.
static SHARED: LazyLock<Pool> = LazyLock::new(|| Pool::new(64));

async fn uses_the_shared_pool() {
    let (sender, mut receiver) = mpsc::channel(100);
    for _ in 0..100 {
        let sender = sender.clone();
        let task = task!("in_the_shared_pool", |_| -> Result<(), TaskError> {
            tokio::task::yield_now().await;
            sender.send(()).await.unwrap();
            Ok(())
        });
        SHARED.spawn(task).await.unwrap();
    }
    for _ in 0..100 {
        receiver.recv().await.unwrap();
    }
}

#[supervised::test]
async fn a_pool_that_tests_share() {
    uses_the_shared_pool().await;
}

#[supervised::test(flavor = "multi_thread")]
async fn a_pool_that_tests_share_on_workers() {
    uses_the_shared_pool().await;
}

#[supervised::test]
async fn a_task_of_another_runtime_in_a_pool_that_tests_share() {
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (started, has_started) = oneshot::channel();
    let elsewhere = task!("elsewhere", |_| -> Result<(), TaskError> {
        started.send(()).unwrap();
        std::future::pending().await
    });
    let spawning = {
        let _entered = other.enter();
        SHARED.spawn(elsewhere)
    };
    let entered = other.handle().clone();
    let mut spawning = std::pin::pin!(spawning);
    std::future::poll_fn(|cx| {
        let _entered = entered.enter();
        spawning.as_mut().poll(cx)
    })
    .await
    .unwrap();
    has_started.await.unwrap();
    // It lives on, as does its runtime.
    std::mem::forget(other);
}

#[supervised::test(leaks = "allow")]
async fn leaks_that_are_allowed() {
    kept_pool().spawn(wait_for_ever).await.unwrap();
}

#[test]
fn a_clean_test_is_checked_without_delay() {
    let started = Instant::now();
    for _ in 0..100 {
        a_clean_test();
    }
    // A hundred times the pauses after a leak would be 43 s.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[supervised::test]
async fn a_clean_test() {
    tokio::task::yield_now().await;
}
