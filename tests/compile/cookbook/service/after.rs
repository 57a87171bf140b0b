use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc::Receiver, time::sleep};
use tokio_supervised::{CancellationToken, Group, supervised, task};
use tokio_util::sync::DropGuard;
type Job = u32;
type Alive = Arc<DropGuard>;

#[supervised(grace = "5s")]
async fn serve(token: &CancellationToken, _alive: Alive) -> anyhow::Result<()> {
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
async fn consume(
    mut jobs: Receiver<Job>,
    _alive: Alive, // dropped at the end, also of a panic
) -> anyhow::Result<()> {
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
    // the flusher's token fires after both others have ended
    let both_gone = CancellationToken::new();
    let alive = Arc::new(both_gone.clone().drop_guard());
    let too = alive.clone();
    // in a separate group, since a group cancels all its tasks
    let last = Group::new(&both_gone);
    let failed = last.token().clone();
    last.spawn(flush).await;
    // the first one to end, even with `Ok`, stops the others;
    // `join` returns its failure or panic: exit code 1
    let group = Group::new(token).until_first_exit();
    group.spawn(|token| consume(token, jobs, too)).await;
    group.spawn(|token| serve(token, alive)).await;
    let watch = task!("flusher", |token| -> anyhow::Result<()> {
        token.run_until_cancelled(failed.cancelled()).await;
        Ok(())
    });
    group.spawn(watch).await;
    let ended = group.join().await;
    last.join().await?;
    ended.map(drop)
}
// end
