use tokio_supervised::{supervised, TaskError};

#[supervised(every = "30s")]
async fn work(_lines: &mut Vec<u32>) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
