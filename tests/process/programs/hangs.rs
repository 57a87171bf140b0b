//! A main whose tasks hang. A comment with the name of the task is above the line that each hangs at.

use std::{
    future::{pending, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::common::{say, wanted};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_supervised::{CancellationToken, Pool, TaskError, supervised, tasks};

type Hangs = Result<(), TaskError>;

#[supervised]
async fn holder(lock: Arc<Mutex<u32>>) -> Hangs {
    let held = lock.lock().await;
    // hangs: holder
    pending::<()>().await;
    drop(held);
    Ok(())
}

#[supervised]
async fn locker(lock: Arc<Mutex<u32>>) -> Hangs {
    // hangs: locker
    *lock.lock().await += 1;
    Ok(())
}

#[supervised]
async fn producer(items: mpsc::Sender<u32>) -> Hangs {
    for item in 0.. {
        // hangs: producer
        if items.send(item).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[supervised]
async fn selector(mut items: mpsc::Receiver<u32>) -> Hangs {
    // hangs: selector
    tokio::select! {
        _ = items.recv() => {}
        () = pending() => {}
    }
    Ok(())
}

#[supervised]
async fn left(mine: oneshot::Sender<()>, theirs: oneshot::Receiver<()>) -> Hangs {
    // hangs: left
    _ = theirs.await;
    _ = mine.send(());
    Ok(())
}

#[supervised]
async fn right(mine: oneshot::Sender<()>, theirs: oneshot::Receiver<()>) -> Hangs {
    // hangs: right
    if theirs.await.is_ok() {
        _ = mine.send(());
    }
    Ok(())
}

#[supervised]
async fn sleeper() -> Hangs {
    // hangs: sleeper
    poll_fn(|_| Poll::Pending).await
}

#[supervised(on_cancel = "drop")]
async fn handle(token: &CancellationToken) -> Hangs {
    // hangs: handle
    store(token).await?;
    Ok(())
}

#[supervised]
async fn store() -> Hangs {
    // hangs: store
    pending().await
}

#[supervised]
async fn connection() -> Hangs {
    // hangs: connection
    pending().await
}

/// Ignores its token.
#[supervised(grace = "none", allow(unused_token))]
async fn deaf(token: &CancellationToken) -> Hangs {
    let _ = token;
    // hangs: deaf
    pending().await
}

/// Waits until that many tasks hang.
async fn until_hanging(hanging: usize) {
    while tasks().iter().filter(|task| task.waiting_at().is_some()).count() < hanging {
        tokio::task::yield_now().await;
    }
}

/// Prints `READY` when all tasks hang.
async fn ready(hanging: usize) {
    until_hanging(hanging).await;
    say("READY");
}

#[supervised::main(grace = "100ms", worker_threads = 2)]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let pool = Pool::new(100);
    match wanted().as_str() {
        "a lock" => {
            let lock = Arc::new(Mutex::new(0));
            pool.spawn(|token| holder(token, lock.clone())).await?;
            until_hanging(1).await;
            pool.spawn(|token| locker(token, lock.clone())).await?;
            ready(2).await;
        }
        "a full channel" => {
            let (items, _unread) = mpsc::channel(1);
            pool.spawn(|token| producer(token, items)).await?;
            ready(1).await;
            token.cancelled().await;
        }
        "a select" => {
            let (_kept, items) = mpsc::channel(1);
            pool.spawn(|token| selector(token, items)).await?;
            ready(1).await;
            token.cancelled().await;
        }
        "a cycle" => {
            let ((to_right, from_left), (to_left, from_right)) =
                (oneshot::channel(), oneshot::channel());
            pool.spawn(|token| left(token, to_right, from_right)).await?;
            pool.spawn(|token| right(token, to_left, from_left)).await?;
            ready(2).await;
        }
        "a forgotten wake-up" => {
            pool.spawn(sleeper).await?;
            ready(1).await;
        }
        "a call" => {
            pool.spawn(handle).await?;
            ready(1).await;
        }
        "ignores its token" => {
            pool.spawn(deaf).await?;
            ready(1).await;
            token.cancelled().await;
            pool.drain(Duration::from_millis(10)).await?;
        }
        "many" => {
            for _ in 0..40 {
                pool.spawn(connection).await?;
            }
            ready(40).await;
        }
        other => anyhow::bail!("no such body: {other}"),
    }
    token.cancelled().await;
    Ok(())
}
