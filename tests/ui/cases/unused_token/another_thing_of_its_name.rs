use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work(token: &CancellationToken, request: Request) -> Result<(), TaskError> {
    request.token.cancelled().await;
    Ok(())
}

struct Request {
    token: CancellationToken,
}

fn main() {}
