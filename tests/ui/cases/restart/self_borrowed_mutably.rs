use tokio_supervised::{supervised, TaskError};

struct Worker {
    name: String,
}

impl Worker {
    #[supervised(restart = "on-failure")]
    async fn work(&mut self) -> Result<(), TaskError> {
        self.name.clear();
        Ok(())
    }

    #[supervised(restart = "on-failure")]
    async fn change<'a>(self: &'a mut Self) -> Result<(), TaskError> {
        self.name.clear();
        Ok(())
    }
}

fn main() {}
