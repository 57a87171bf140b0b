use tokio_supervised::{supervised, TaskError};

#[supervised(allow())]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
