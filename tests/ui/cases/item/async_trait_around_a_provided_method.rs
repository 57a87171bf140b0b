use tokio_supervised::{supervised, TaskError};

#[async_trait::async_trait]
trait Open {
    #[supervised]
    async fn open(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
