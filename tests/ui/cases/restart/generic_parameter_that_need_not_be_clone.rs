use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on-failure")]
async fn both<T: Send>(_first: T, _second: impl FnOnce() + Send) -> Result<(), TaskError> {
    Ok(())
}

#[supervised(restart = "on-failure")]
async fn either<T: Clone>(_first: T, _second: impl Fn() + Clone) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
