use std::{sync::Arc, time::Duration};
use tokio_supervised::{CancellationToken, Pool, shield, supervised};

struct Queue;
struct Message {
    offset: u64,
    text: String,
}

impl Queue {
    async fn take(&self) -> anyhow::Result<Option<Message>> {
        Ok(None)
    }
    async fn acknowledge(&self, _offset: u64) -> anyhow::Result<()> {
        Ok(())
    }
}

async fn work(_text: String) -> anyhow::Result<()> {
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);

// readme
// an error or a panic is logged and stops no other task
#[supervised(timeout = "10s")]
async fn handle(
    queue: Arc<Queue>,
    message: Message,
) -> anyhow::Result<()> {
    work(message.text).await?;
    // done: work and acknowledgement are not separated
    shield(SECOND, |_| queue.acknowledge(message.offset)).await
}

#[supervised] // stops first, and between two messages
async fn produce(
    token: &CancellationToken,
    queue: Arc<Queue>,
    pool: Pool,
) -> anyhow::Result<()> {
    let slot = || token.run_until_cancelled(pool.reserve());
    while let Some(slot) = slot().await {
        let slot = slot?; // a slot is free: now take a message
        let Some(message) = queue.take().await? else { break };
        let queue = queue.clone();
        slot.spawn(|token| handle(token, queue, message));
    }
    Ok(())
}

async fn run(
    token: &CancellationToken,
    queue: Queue,
) -> anyhow::Result<()> {
    let pool = Pool::new(8);
    let read = produce(token, queue.into(), pool.clone()).await;
    pool.drain(20 * SECOND).await?; // finishes taken messages
    read
}
// end
