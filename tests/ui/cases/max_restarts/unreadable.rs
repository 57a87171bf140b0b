use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", max_restarts = "5 per minute")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
