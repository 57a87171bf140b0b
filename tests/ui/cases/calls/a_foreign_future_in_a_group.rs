use tokio_supervised::{CancellationToken, Group, TaskError};

async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run(token: CancellationToken) -> Result<Vec<()>, TaskError> {
    let group = Group::new(&token);
    group.spawn(|_| work()).await;
    group.join().await
}

fn main() {
    drop(run(CancellationToken::new()));
}
