use std::time::Duration;

use tokio_supervised::{supervised, TaskError};

fn limit() -> Duration {
    Duration::from_secs(1)
}

#[supervised(timeout = limit())]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
