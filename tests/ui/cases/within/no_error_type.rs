use std::time::Duration;
use tokio_supervised::{supervised, within, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run(token: &CancellationToken) -> Result<(), TaskError> {
    within(token, Duration::from_secs(1), async move |token| {
        work(token).await?;
        Ok(())
    })
    .await?;
    Ok(())
}

fn main() {
    drop(run(&CancellationToken::new()));
}
