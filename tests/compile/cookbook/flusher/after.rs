use std::{io, sync::Arc, time::Duration};
use tokio_supervised::{CancellationToken, Group, shield, supervised};

struct Store;

impl Store {
    async fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[supervised]
async fn read(_store: Arc<Store>) -> io::Result<()> {
    Ok(())
}

const FLUSHING: Duration = Duration::from_secs(5);

// readme
// a panic or an error is logged, counted and restarted
#[supervised(every = "1s", restart = "on-failure")]
async fn flush_every_tick(store: Arc<Store>) -> io::Result<()> {
    // it stays in the buffer until it is on the disk;
    // the token does not stop it halfway
    shield(FLUSHING, |_| store.flush()).await
}

#[supervised(restart = "on-failure", max_restarts = "5/1m")]
async fn flush_rest(store: Arc<Store>) -> io::Result<()> {
    store.flush().await
}

async fn read_and_flush(
    token: &CancellationToken,
    store: Arc<Store>,
) -> io::Result<()> {
    let group = Group::new(token).until_first_exit();
    let (lines, batches) = (store.clone(), store.clone());
    group.spawn(|token| read(token, lines)).await;
    group.spawn(|token| flush_every_tick(token, batches)).await;
    // the end of the input, SIGTERM, or a sixth failure
    let ended = group.join().await;
    // the token in here has not fired
    shield(FLUSHING, |token| flush_rest(token, store)).await?;
    ended.map(drop)
}
// end
