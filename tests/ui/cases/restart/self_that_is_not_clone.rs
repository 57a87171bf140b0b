use tokio_supervised::{supervised, TaskError};

struct Worker {
    name: String,
}

impl Worker {
    #[supervised(restart = "on-failure")]
    async fn work(self, _count: u32) -> Result<String, TaskError> {
        Ok(self.name)
    }

    #[supervised(restart = "on-failure")]
    async fn change(mut self: Box<Self>) -> Result<String, TaskError> {
        self.name.clear();
        Ok(self.name)
    }
}

fn main() {}
