use tokio_supervised::{supervised, TaskError};

#[supervised(token = stop)]
async fn fetch(stop: u32) -> Result<(), TaskError> {
    drop(stop);
    Ok(())
}

fn main() {}
