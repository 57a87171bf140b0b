use tokio_supervised::{supervised, TaskError};

#[supervised(on_cancel = "ignore")]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
