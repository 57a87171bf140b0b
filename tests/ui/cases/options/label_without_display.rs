use tokio_supervised::{supervised, CancellationToken, TaskError};

struct Peer;

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run(token: &CancellationToken) -> Result<(), TaskError> {
    work(token).label(Peer).await
}

fn main() {
    drop(run(&CancellationToken::new()));
}
