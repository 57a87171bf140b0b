use tokio_supervised::{supervised, TaskError};

#[supervised]
#[tokio::main]
async fn main() -> Result<(), TaskError> {
    Ok(())
}
