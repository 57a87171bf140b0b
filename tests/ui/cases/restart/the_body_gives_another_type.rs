use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on-failure")]
async fn work(count: u32) -> Result<u32, TaskError> {
    if count == 0 {
        return Err("none");
    }
    Ok("one")
}

fn main() {}
