use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 16, limit = 32)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
