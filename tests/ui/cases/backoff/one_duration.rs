use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", backoff = "1s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
