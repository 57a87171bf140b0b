use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    async { tokio::spawn(async {}) }.await;
    Ok(())
}

fn main() {}
