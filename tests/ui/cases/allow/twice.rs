use tokio_supervised::{supervised, TaskError};

#[supervised(allow(no_exit), limit = 4, allow(block_on))]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
