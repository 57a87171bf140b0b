use tokio_supervised::{supervised, TaskError};

#[supervised(timeout = "10")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
