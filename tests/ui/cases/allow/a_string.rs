use tokio_supervised::{supervised, TaskError};

#[supervised(allow = "no_exit")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
