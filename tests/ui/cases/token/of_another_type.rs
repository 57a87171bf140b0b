use tokio_supervised::{supervised, TaskError};

#[supervised(token = stop)]
async fn fetch(stop: &str) -> Result<(), TaskError> {
    drop(stop);
    Ok(())
}

fn main() {}
