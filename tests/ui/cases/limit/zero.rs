use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 0)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
