use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on-failure")]
async fn work(_first: u32, _lines: &'static mut Vec<u32>) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
