use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn fetch(token: &mut CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

fn main() {}
