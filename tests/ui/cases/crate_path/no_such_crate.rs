use tokio_supervised::{supervised, TaskError};

#[supervised(crate = "::nowhere")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
