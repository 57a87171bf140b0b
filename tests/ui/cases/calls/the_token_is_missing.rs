use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work(n: u32) -> Result<u32, TaskError> {
    Ok(n)
}

async fn run() -> Result<u32, TaskError> {
    work(1).await
}

fn main() {
    drop(run());
}
