use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn parse(text: &str) -> Result<u32, TaskError> {
    Ok(text.len())
}

fn main() {}
