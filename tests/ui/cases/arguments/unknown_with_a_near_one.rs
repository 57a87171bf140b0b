use tokio_supervised::{supervised, TaskError};

#[supervised(limt = 16)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
