use std::time::Duration;
use tokio::{sync::mpsc::Receiver, time::sleep};
use tokio_supervised::{CancellationToken, Services, supervised};
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
// ends after the server, which closes the channel
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
    write_numbers().await // they no longer change
}

async fn run(
    token: &CancellationToken,
    jobs: Receiver<Job>,
) -> anyhow::Result<()> {
    // they stop in reverse order, each after all later ones;
    // the first failure or panic stops the others, and `run`
    // returns it: exit code 1
    Services::new(token)
        .service("flusher", flush)
        .service("consumer", |token| consume(token, jobs))
        .service("server", serve)
        .run()
        .await?;
    Ok(())
}
// end
