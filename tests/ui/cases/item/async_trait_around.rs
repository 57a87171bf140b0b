use tokio_supervised::{supervised, TaskError};

#[async_trait::async_trait]
trait Store {
    async fn save(&self) -> Result<(), TaskError>;
}

struct Memory;

#[async_trait::async_trait]
impl Store for Memory {
    #[supervised]
    async fn save(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
