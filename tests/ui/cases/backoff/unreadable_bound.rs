use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", backoff = "1s..soon")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
