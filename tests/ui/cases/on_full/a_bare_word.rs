use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 16, on_full = reject)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
