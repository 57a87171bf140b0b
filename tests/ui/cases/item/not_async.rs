use tokio_supervised::{supervised, TaskError};

#[supervised]
fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
