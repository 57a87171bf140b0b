use tokio_supervised::{supervised, TaskError};

#[supervised]
#[not_a_dependency::instrument]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
