use std::sync::Arc;
use tokio::sync::Semaphore;

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

// readme
async fn run(queue: Queue) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(8));
    // taken, but no worker is free
    while let Some(message) = queue.take().await? {
        // "at most once", by accident
        queue.acknowledge(message.offset).await?;
        let permits = permits.clone();
        let permit = permits.acquire_owned().await?;
        tokio::spawn(async move {
            // an error, a panic: the message is gone
            work(message.text).await?;
            drop(permit);
            anyhow::Ok(())
        });
    }
    Ok(()) // here and on SIGTERM: running work is lost
}
// end
