//! The well-behaved tasks.

use std::{thread, time::Duration};

use tokio::time::sleep;
use tokio_supervised::{CancellationToken, Group, Pool, map, supervised};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Resizes pictures: starts more at once than `resize` allows.
#[supervised(on_cancel = "drop")]
pub(crate) async fn gallery(token: &CancellationToken) -> anyhow::Result<()> {
    loop {
        map(token, 0..40, resize).limit(4).await?;
    }
}

/// Resizes one picture.
#[supervised(limit = 4)]
async fn resize(picture: u64) -> anyhow::Result<()> {
    sleep(ms(40 + 37 * (picture % 5))).await;
    Ok(())
}

/// Accepts messages while the pool has room.
#[supervised]
pub(crate) async fn accept(pool: Pool) -> anyhow::Result<()> {
    for message in 0_u64.. {
        sleep(ms(3 + message / 64 % 12)).await;
        pool.spawn(move |token| deliver(token, message)).await?;
    }
    Ok(())
}

/// Delivers one message, unless the recipient is away.
#[supervised]
async fn deliver(message: u64) -> anyhow::Result<()> {
    sleep(ms(20 + message % 7 * 15)).await;
    anyhow::ensure!(message % 53 != 0, "no one answers the door");
    Ok(())
}

/// Keeps the sessions open.
#[supervised]
pub(crate) async fn chat(token: &CancellationToken, sessions: usize) -> anyhow::Result<()> {
    let group = Group::new(token);
    for _ in 0..sessions {
        group.spawn(session).await;
    }
    group.join().await.map(drop)
}

/// One idle visitor.
#[supervised]
async fn session() -> anyhow::Result<()> {
    std::future::pending().await
}

/// Packs from time to time, on a thread for blocking work.
#[supervised(every = "6s")]
pub(crate) async fn archive(token: &CancellationToken) -> anyhow::Result<()> {
    let group = Group::new(token);
    group.spawn_blocking("pack", pack).await;
    group.join().await.map(drop)
}

/// It checks its token between two files: nothing else could stop it.
#[expect(clippy::disallowed_methods, reason = "it stands for work that holds a thread")]
fn pack(token: CancellationToken) -> anyhow::Result<()> {
    for _file in 0..40 {
        if token.is_cancelled() {
            break;
        }
        thread::sleep(ms(100));
    }
    Ok(())
}
