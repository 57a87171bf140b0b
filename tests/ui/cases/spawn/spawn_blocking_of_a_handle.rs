use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    tokio::runtime::Handle::current().spawn_blocking(|| 1);
    Ok(())
}

fn main() {}
