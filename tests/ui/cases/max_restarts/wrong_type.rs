use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", max_restarts = 5)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
