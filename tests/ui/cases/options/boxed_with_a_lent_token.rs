use tokio_supervised::{supervised, BoxedTask, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn boxed(token: &CancellationToken) -> BoxedTask<(), TaskError> {
    work(token).boxed()
}

fn main() {
    drop(boxed(&CancellationToken::new()));
}
