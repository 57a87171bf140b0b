use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on-failure", restart_if = |_: &TaskError| true)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
