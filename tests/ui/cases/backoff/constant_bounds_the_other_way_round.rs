use std::{ops::Range, time::Duration};

use tokio_supervised::{supervised, TaskError};

const WAITS: Range<Duration> = Duration::from_secs(2)..Duration::from_secs(1);

#[supervised(restart = "always", backoff = WAITS)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
