use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "always", max_restarts = "5/0s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
