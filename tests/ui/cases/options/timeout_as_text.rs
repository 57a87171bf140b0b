use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run(token: &CancellationToken) -> Result<(), TaskError> {
    work(token).timeout("10s").await
}

fn main() {
    drop(run(&CancellationToken::new()));
}
