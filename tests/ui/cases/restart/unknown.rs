use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "forever")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
