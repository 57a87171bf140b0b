use tokio_supervised::{supervised, TaskError};

#[supervised(backoff = "1s..2s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
