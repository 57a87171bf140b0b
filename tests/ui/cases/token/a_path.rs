use tokio_supervised::{supervised, TaskError};

#[supervised(token = self::stop)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
