use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run(token: Option<CancellationToken>) -> Result<(), TaskError> {
    work(token).await
}

fn main() {
    drop(run(None));
}
