use tokio_supervised::{supervised, TaskError};

#[supervised(grace = "5s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
