use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(grace = "5s", on_cancel = "drop")]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

fn main() {}
