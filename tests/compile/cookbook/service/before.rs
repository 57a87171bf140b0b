use tokio::{select, sync::mpsc::Receiver, time::{Duration, sleep}};
type Job = u32;

async fn serve() -> anyhow::Result<()> {
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
async fn run(mut jobs: Receiver<Job>) {
    let server = tokio::spawn(serve());
    let consumer = tokio::spawn(async move {
        while let Some(job) = jobs.recv().await {
            // a panic: the server keeps answering 202
            work(job).await.unwrap();
        }
    });
    let flusher = tokio::spawn(async {
        loop {
            // a failure is ignored
            write_numbers().await.ok();
            // no end: the last numbers are never written
            sleep(SECOND).await;
        }
    });
    // the first one to end drops the others,
    // with their queues; its error is lost; exit code 0
    select! {
        _ = server => {}
        _ = consumer => {}
        _ = flusher => {}
    }
}
// end
