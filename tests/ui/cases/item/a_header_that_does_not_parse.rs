use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work(count u32) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
