use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    _ = tokio::spawn(async {}).await;
    Ok(())
}

fn main() {}
