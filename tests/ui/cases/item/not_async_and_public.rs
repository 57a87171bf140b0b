use tokio_supervised::{supervised, TaskError};

#[supervised]
pub(crate) fn work(n: u32) -> Result<u32, TaskError> {
    Ok(n)
}

fn main() {}
