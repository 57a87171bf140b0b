use tokio_supervised::{supervised, TaskError};

const SMALL: u8 = 16;

#[supervised(limit = SMALL)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
