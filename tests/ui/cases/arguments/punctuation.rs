use tokio_supervised::{supervised, TaskError};

#[supervised(=> ?)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
