use std::time::Duration;

use tokio_supervised::{supervised, TaskError};

struct Client {
    timeout: Duration,
}

impl Client {
    #[supervised(timeout = self.timeout)]
    async fn work(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
