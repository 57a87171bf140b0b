use tokio_supervised::{supervised, TaskError};

#[supervised(every = 30)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
