use tokio_supervised::{supervised, TaskError};

#[async_trait::async_trait]
trait Open {
    async fn open() -> Result<(), TaskError>;
}

struct Memory;

#[async_trait::async_trait]
impl Open for Memory {
    #[supervised]
    async fn open() -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
