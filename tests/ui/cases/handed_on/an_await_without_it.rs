use std::time::Duration;

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn step() -> Result<(), TaskError> {
    Ok(())
}

#[supervised]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    loop {
        step(token).await?;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

fn main() {}
