use tokio_supervised::{supervised, TaskError};

#[supervised(crate = "not a path")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
