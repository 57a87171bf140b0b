use tokio_supervised::{supervised, TaskError};

#[supervised(allow(no_exit) = true, limit = 0)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
