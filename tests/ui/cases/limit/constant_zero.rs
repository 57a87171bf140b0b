use tokio_supervised::{supervised, TaskError};

const NONE: usize = 0;

#[supervised(limit = NONE)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
