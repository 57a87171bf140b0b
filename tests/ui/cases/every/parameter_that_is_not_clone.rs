use std::fs::File;

use tokio_supervised::{supervised, TaskError};

#[supervised(every = "30s")]
async fn work(_to: File) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
