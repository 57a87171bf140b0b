use tokio_supervised::{supervised, TaskError};

#[supervised(limit)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
