use tokio_supervised::{supervised, TaskError};

#[supervised(token = stop)]
async fn fetch(stop: u32) -> Result<(), TaskError> {
    let _ = stop;
    Ok(())
}

fn main() {}
