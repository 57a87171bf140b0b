use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on-failure", restart_if = "is_transient")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
