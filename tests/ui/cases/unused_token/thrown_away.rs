use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = token;
    Ok(())
}

fn main() {}
