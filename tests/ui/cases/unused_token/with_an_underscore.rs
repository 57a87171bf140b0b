use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work(_token: &CancellationToken) -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

fn main() {}
