use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    tokio::spawn(async {});
    Ok(())
}

fn main() {}
