use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    tokio::task::spawn(async {});
    Ok(())
}

fn main() {}
