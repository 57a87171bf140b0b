use std::time::Duration;

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(grace = grace.min(Duration::from_secs(1)))]
async fn work(token: &CancellationToken, grace: Duration) -> Result<(), TaskError> {
    token.cancelled().await;
    drop(grace);
    Ok(())
}

fn main() {}
