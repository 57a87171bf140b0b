use tokio_supervised::{supervised, TaskError};

#[supervised(limit = +, timeout = "1q")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
