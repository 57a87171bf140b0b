use tokio_supervised::{supervised, TaskError};

trait Store {
    #[supervised]
    async fn save(&self) -> Result<(), TaskError>;
}

fn main() {}
