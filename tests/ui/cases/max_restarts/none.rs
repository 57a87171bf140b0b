use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", max_restarts = "0/1m")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
