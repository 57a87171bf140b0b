use tokio_supervised::{supervised, TaskError};

#[supervised(log = false)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
