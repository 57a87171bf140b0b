use tokio_supervised::{supervised, TaskError};

trait Store {
    async fn save(&self) -> Result<(), TaskError>;
}

struct Memory;

impl Store for Memory {
    #[supervised]
    async fn save(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
