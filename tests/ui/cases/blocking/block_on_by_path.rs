use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    futures::executor::block_on(async {});
    Ok(())
}

fn main() {}
