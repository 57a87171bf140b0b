use tokio_supervised::{supervised, TaskError};

#[supervised(on_cancel = 1)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
