use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn parse(text: &str) -> Result<usize, TaskError> {
    text.len();
}

fn main() {}
