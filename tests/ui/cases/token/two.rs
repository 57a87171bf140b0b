use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn fetch(token: &CancellationToken, other: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    other.cancelled().await;
    Ok(())
}

fn main() {}
