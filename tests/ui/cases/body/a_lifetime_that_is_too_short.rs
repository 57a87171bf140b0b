use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn longer<'a>(first: &'a str, second: &str) -> Result<&'a str, TaskError> {
    if first.is_empty() {
        return Ok(first);
    }
    Ok(second)
}

fn main() {}
