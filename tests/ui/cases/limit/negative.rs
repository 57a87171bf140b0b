use tokio_supervised::{supervised, TaskError};

#[supervised(limit = -1)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
