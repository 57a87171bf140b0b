use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work(url: &str) -> Result<usize, TaskError> {
    let size = url.len().await;
    let text: String = url;
    Ok(size)
}

fn main() {}
