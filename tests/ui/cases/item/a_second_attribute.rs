use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 4)]
#[supervised(timeout = "10s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
