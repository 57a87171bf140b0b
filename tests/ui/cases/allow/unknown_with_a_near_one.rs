use tokio_supervised::{supervised, TaskError};

#[supervised(allow(no_exit, detached_spwan))]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
