use tokio::task;
use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    task::spawn(async {});
    Ok(())
}

fn main() {}
