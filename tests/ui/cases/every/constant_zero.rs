use std::time::Duration;

use tokio_supervised::{supervised, TaskError};

const NEVER: Duration = Duration::ZERO;

#[supervised(every = NEVER)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
