use tokio_supervised::{supervised, TaskError};

#[supervised(name = "  ")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
