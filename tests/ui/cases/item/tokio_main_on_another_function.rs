use tokio_supervised::{supervised, TaskError};

#[supervised]
#[tokio::main]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
