use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 1.5)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
