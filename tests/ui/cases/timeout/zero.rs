use tokio_supervised::{supervised, TaskError};

#[supervised(timeout = "0s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
