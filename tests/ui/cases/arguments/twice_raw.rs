use tokio_supervised::{supervised, TaskError};

#[supervised(limit = 16, r#limit = 32)]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
