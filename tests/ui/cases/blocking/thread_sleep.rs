use std::{thread, time::Duration};
use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    thread::sleep(Duration::from_secs(1));
    Ok(())
}

fn main() {}
