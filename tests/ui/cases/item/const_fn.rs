use tokio_supervised::{supervised, TaskError};

#[supervised]
const async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
