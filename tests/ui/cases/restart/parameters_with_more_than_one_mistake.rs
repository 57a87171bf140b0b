use tokio_supervised::{supervised, TaskError};

struct NotClone;
struct Neither;

impl NotClone {
    #[supervised(restart = "on-failure")]
    async fn given(self, other: Neither) -> Result<(), TaskError> {
        drop((self, other));
        Ok(())
    }

    #[supervised(restart = "on-failure")]
    async fn lent(&mut self, other: Neither, count: &mut u32) -> Result<(), TaskError> {
        drop((self, other, count));
        Ok(())
    }
}

fn main() {}
