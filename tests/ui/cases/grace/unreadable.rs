use tokio_supervised::{supervised, TaskError};

#[supervised(on_cancel = "cooperate", grace = "soon")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
