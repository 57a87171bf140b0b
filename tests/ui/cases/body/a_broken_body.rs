use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(limit = 16)]
async fn work() -> Result<(), TaskError> {
    let n = ;
    Ok(())
}

async fn run(token: CancellationToken) -> Result<(), TaskError> {
    work(&token).await
}

fn main() {
    drop(run(CancellationToken::new()));
}
