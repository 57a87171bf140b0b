use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn main(token: CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}
