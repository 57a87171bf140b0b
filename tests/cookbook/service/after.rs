use std::time::Duration;
use tokio::{sync::mpsc::Receiver, time::sleep};
use tokio_supervised::{CancellationToken, Group, supervised};
type Job = u32;

#[supervised(grace = "5s")]
async fn serve(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    Ok(())
}

async fn work(_job: Job) -> anyhow::Result<()> {
    Ok(())
}

async fn write_numbers() -> anyhow::Result<()> {
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);

// readme
// it ends when the server has: then the channel is closed
#[supervised(on_cancel = "cooperate", grace = "8s")]
async fn consume(mut jobs: Receiver<Job>) -> anyhow::Result<()> {
    while let Some(job) = jobs.recv().await {
        work(job).await?;
    }
    Ok(())
}

#[supervised(grace = "3s")]
async fn flush(token: &CancellationToken) -> anyhow::Result<()> {
    while !token.is_cancelled() {
        write_numbers().await?;
        token.run_until_cancelled(sleep(SECOND)).await;
    }
    write_numbers().await // the last ones
}

async fn run(
    token: &CancellationToken,
    jobs: Receiver<Job>,
) -> anyhow::Result<()> {
    // the first to end, even well, stops the others; a
    // failure or a panic is what `join` returns, and exit 1
    let group = Group::new(token).until_first_exit();
    group.spawn(flush).await;
    group.spawn(|token| consume(token, jobs)).await;
    group.spawn(serve).await;
    group.join().await.map(drop)
}
// end
