use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<Missing, TaskError> {
    std::future::pending().await
}

fn main() {}
