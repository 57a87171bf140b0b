use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised::main]
async fn main(token: CancellationToken, verbose: bool) -> Result<(), TaskError> {
    let _ = verbose;
    token.cancelled().await;
    Ok(())
}
