use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn fetch(url: &str, token: &CancellationToken) -> Result<(), TaskError> {
    let _ = url;
    token.cancelled().await;
    Ok(())
}

fn main() {}
