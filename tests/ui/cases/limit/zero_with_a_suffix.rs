use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 0usize)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
