use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 16,, name = "worker")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
