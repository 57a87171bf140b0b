use tokio_supervised::{supervised, TaskError};

fn is_transient(_: &TaskError) -> bool {
    true
}

#[supervised(restart_if = is_transient)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
