use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", backoff = 5)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
