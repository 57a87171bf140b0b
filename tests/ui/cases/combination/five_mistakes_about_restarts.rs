use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(restart = "never", backoff = "2s..1s", max_restarts = "some")]
async fn work(token: &mut CancellationToken, lines: &mut Vec<u32>) -> Result<(), TaskError> {
    lines.push(u32::from(token.is_cancelled()));
    Ok(())
}

async fn called(token: CancellationToken) -> Result<(), TaskError> {
    work(&token, &mut Vec::new()).await
}

fn main() {}
