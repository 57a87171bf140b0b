use tokio_supervised::{supervised, TaskError};

const NONE: std::time::Duration = std::time::Duration::ZERO;

#[supervised(timeout = NONE)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
