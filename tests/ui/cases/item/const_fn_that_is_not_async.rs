use tokio_supervised::{supervised, TaskError};

#[supervised]
const fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
