use tokio_supervised::{supervised, TaskError};

#[supervised(max_restarts = "5/1m")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
