use tokio_supervised::{supervised, TaskError};

#[supervised(restart = true)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
