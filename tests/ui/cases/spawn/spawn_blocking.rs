use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    tokio::task::spawn_blocking(|| 1);
    Ok(())
}

fn main() {}
