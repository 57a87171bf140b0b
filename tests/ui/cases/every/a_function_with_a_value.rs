use tokio_supervised::{supervised, TaskError};

#[supervised(every = "30s")]
async fn count() -> Result<u32, TaskError> {
    Ok(1)
}

fn main() {}
