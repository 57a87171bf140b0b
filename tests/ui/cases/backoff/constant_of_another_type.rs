use std::time::Duration;

use tokio_supervised::{supervised, TaskError};

const WAIT: Duration = Duration::from_secs(1);

#[supervised(restart = "always", backoff = WAIT)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
