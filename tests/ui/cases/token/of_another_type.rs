use tokio_supervised::{supervised, TaskError};

#[supervised(token = stop)]
async fn fetch(stop: &str) -> Result<(), TaskError> {
    let _ = stop;
    Ok(())
}

fn main() {}
