use tokio_supervised::{supervised, TaskError};

#[supervised(log = "warning")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
