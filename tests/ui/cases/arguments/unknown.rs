use tokio_supervised::{supervised, TaskError};

#[supervised(colour = "red")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
