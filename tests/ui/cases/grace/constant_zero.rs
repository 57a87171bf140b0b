use tokio_supervised::{supervised, TaskError};

const NONE: std::time::Duration = std::time::Duration::ZERO;

#[supervised(on_cancel = "cooperate", grace = NONE)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
