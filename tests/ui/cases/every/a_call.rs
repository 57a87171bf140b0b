use std::time::Duration;

use tokio_supervised::{supervised, TaskError};

fn period() -> Duration {
    Duration::from_secs(1)
}

#[supervised(every = period())]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
