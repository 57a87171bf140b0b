use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    let reading = tokio::task::spawn_blocking(|| 1);
    _ = reading.await;
    Ok(())
}

fn main() {}
