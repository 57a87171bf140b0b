use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 16u8)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
