use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    tokio::runtime::Handle::current().block_on(async {});
    Ok(())
}

fn main() {}
