//! The `Debug` output of the crate's types: available at any time, without blocking.

use std::{
    fmt::Debug,
    future::pending,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, shield, supervised};

use testkit::{in_time, runtime};

#[supervised(name = "debug: held")]
async fn held() -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "debug: again", restart = "on-failure")]
async fn again() -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "debug: of an item")]
async fn of_an_item(_item: u32) -> Result<(), TaskError> {
    Ok(())
}

#[tokio::test]
async fn debug_output_names_what_each_type_is_about() {
    let token = CancellationToken::new();
    let (pool, group) = (Pool::new(2), Group::new(&token));
    pool.spawn(held).await.unwrap();
    group.spawn(held).await;
    let closed = Pool::new(1);
    closed.drain(Duration::ZERO).await.unwrap();
    let about: [(&dyn Debug, &str); 12] = [
        (&held(&token), "Supervised { task: \"debug: held\", .. }"),
        (&again(&token), "Restarting { task: \"debug: again\", .. }"),
        (&map(&token, 0..3, of_an_item).limit(7), "Map { limit: Some(7), .. }"),
        (&map(&token, 0..3, of_an_item).settled(), "Settled { limit: None, .. }"),
        (&shield(Duration::from_secs(2), |_| async {}), "Shield { limit: 2s, .. }"),
        (&group, "Group { tasks: 1, .. }"),
        (&group.handle(), "GroupHandle { tasks: 1, .. }"),
        (&pool, "Pool { tasks: 1, limit: 2, closed: false, .. }"),
        (&pool.reserve().await.unwrap(), "Slot { .. }"),
        (&closed, "Pool { tasks: 0, limit: 1, closed: true, .. }"),
        (&closed.reserve().await.unwrap_err(), "Closed(Closed)"),
        (&closed.try_spawn(held), "Err(Closed)"),
    ];
    for (value, said) in about {
        assert_eq!(format!("{value:?}"), said);
    }
    token.cancel();
    assert!(group.join().await.is_err());
}

#[tokio::test]
async fn a_future_has_debug_output_while_pending_and_after_its_end() {
    let (token, go_on) = (CancellationToken::new(), Arc::new(Notify::new()));
    let mut call = Box::pin(held(&token));
    let mut mapped = Box::pin(map(&token, [(), ()], |token, ()| held(token)).limit(2));
    tokio::select! {
        biased;
        _ = &mut call => unreachable!(),
        _ = &mut mapped => unreachable!(),
        () = go_on.notified() => unreachable!(),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(format!("{call:?}"), "Supervised { task: \"debug: held\", .. }");
    assert_eq!(format!("{mapped:?}"), "Map { limit: Some(2), .. }");
    token.cancel();
    let ended = (in_time(&mut call).await, in_time(&mut mapped).await);
    assert!(ended.0.is_err() && ended.1.is_err());
    assert_eq!(format!("{call:?}"), "Supervised { task: \"debug: held\", .. }");
    assert_eq!(format!("{mapped:?}"), "Map { limit: Some(2), .. }");
}

/// Prints a scope when it is created, polled and dropped.
struct Shows(Arc<dyn Debug + Send + Sync>, mpsc::Sender<String>);

impl Shows {
    fn new(scope: impl Debug + Send + Sync + 'static, sender: &mpsc::Sender<String>) -> Self {
        let shows = Self(Arc::new(scope), sender.clone());
        shows.show();
        shows
    }

    fn show(&self) {
        self.1.send(format!("{:?}", self.0)).unwrap();
    }
}

impl Drop for Shows {
    fn drop(&mut self) {
        self.show();
    }
}

#[supervised(name = "debug: shows")]
async fn show(shows: Shows) -> Result<Shows, TaskError> {
    shows.show();
    Ok(shows)
}

/// Deadlocks if one of them waits for a lock that is held while user code runs.
#[test]
fn code_inside_a_group_or_pool_can_print_it() {
    let (sender, receiver) = mpsc::channel();
    let (end, has_ended) = mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let group: Group<Shows, TaskError> = Group::new(&CancellationToken::new());
            let handle = group.handle();
            group.spawn(|token| show(token, Shows::new(handle, &sender))).await;
            drop(group.join().await.unwrap());
            let pool = Pool::new(1);
            pool.spawn(|token| show(token, Shows::new(pool.clone(), &sender))).await.unwrap();
            while !pool.is_empty() {
                tokio::task::yield_now().await;
            }
        });
        end.send(()).unwrap();
    });
    has_ended.recv_timeout(Duration::from_secs(60)).expect("it hangs");
    let group = [0, 1, 0].map(|tasks| format!("GroupHandle {{ tasks: {tasks}, .. }}"));
    let pool =
        [0, 1, 1].map(|tasks| format!("Pool {{ tasks: {tasks}, limit: 1, closed: false, .. }}"));
    let shown: Vec<_> = receiver.iter().collect();
    assert_eq!(shown, [group, pool].concat());
}
