use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn main() -> Result<(), TaskError> {
    Ok(())
}
