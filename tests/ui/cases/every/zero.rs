use tokio_supervised::{supervised, TaskError};

#[supervised(every = "0s")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
