use tokio_supervised::{supervised, TaskError};

struct Work;

#[supervised]
impl Work {
    async fn run(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
