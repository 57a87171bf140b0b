use tokio_supervised::{supervised, TaskError};

const SECONDS: u64 = 10;

#[supervised(timeout = SECONDS)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
