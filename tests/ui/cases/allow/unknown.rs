use tokio_supervised::{supervised, TaskError};

#[supervised(allow(dead_code))]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
