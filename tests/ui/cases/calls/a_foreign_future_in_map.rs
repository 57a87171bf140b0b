use tokio_supervised::{CancellationToken, TaskError, map};

async fn work(n: u32) -> Result<u32, TaskError> {
    Ok(n)
}

async fn run(token: CancellationToken) -> Result<Vec<u32>, TaskError> {
    map(&token, 0..10, |_, n| work(n)).await
}

fn main() {
    drop(run(CancellationToken::new()));
}
