use tokio_supervised::{supervised, TaskError};

#[supervised(crate = "::tokio_supervised::nowhere")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
