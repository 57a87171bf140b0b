use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<Missing, TaskError> {
    loop {}
}

fn main() {}
