use tokio_supervised::{supervised, TaskError};

#[supervised]
async extern "C" fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
