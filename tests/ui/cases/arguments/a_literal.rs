use tokio_supervised::{supervised, TaskError};

#[supervised("worker")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
