use tokio_supervised::{supervised, TaskError};

#[supervised(name = 3)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
