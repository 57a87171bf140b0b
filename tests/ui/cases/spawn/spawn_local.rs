use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    tokio::task::spawn_local(async {});
    Ok(())
}

fn main() {}
