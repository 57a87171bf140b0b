use std::fs::File;

use tokio_supervised::{supervised, TaskError};

#[supervised(restart = "on-failure")]
async fn copy(_from: String, _to: File, (_count, _): (u32, Vec<File>)) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
