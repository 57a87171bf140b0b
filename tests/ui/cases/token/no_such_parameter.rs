use tokio_supervised::{supervised, TaskError};

#[supervised(token = stop)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
