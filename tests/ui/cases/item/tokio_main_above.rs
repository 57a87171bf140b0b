use tokio_supervised::{supervised, TaskError};

#[tokio::main]
#[supervised]
async fn main() -> Result<(), TaskError> {
    Ok(())
}
