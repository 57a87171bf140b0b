use tokio_supervised::{supervised, TaskError};

#[supervised(allow(no exit), limit = 0)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
