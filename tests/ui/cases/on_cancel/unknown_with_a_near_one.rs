use tokio_supervised::{supervised, TaskError};

#[supervised(on_cancel = "coperate")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
