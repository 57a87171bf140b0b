use tokio_supervised::{supervised, TaskError};

#[supervised(on_cancel = "cooperate", grace = 5)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
