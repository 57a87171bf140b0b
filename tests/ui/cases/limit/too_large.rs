use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 99999999999999999999)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
