use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", backoff = "30s..100ms")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
