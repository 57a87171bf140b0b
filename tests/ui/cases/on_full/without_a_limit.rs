use tokio_supervised::{supervised, TaskError};

#[supervised(on_full = "reject")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
