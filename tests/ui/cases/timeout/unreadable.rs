use tokio_supervised::{supervised, TaskError};

#[supervised(timeout = "ten seconds")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
