use std::time::Duration;
use tokio_supervised::{supervised, within, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run(token: &CancellationToken) -> Result<(), TaskError> {
    within(token, Duration::from_secs(1), work(token)).await
}

fn main() {
    drop(run(&CancellationToken::new()));
}
