use tokio_supervised::{supervised, TaskError};

#[supervised(limit = , name = "worker")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
