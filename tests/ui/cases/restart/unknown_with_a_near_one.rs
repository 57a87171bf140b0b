use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on_failure")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
