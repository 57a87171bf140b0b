#![deny(warnings)]

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(restart = "on-failure")]
async fn work(used: u32, unused: u32, mut never_changed: u32) -> Result<u32, TaskError> {
    Ok(used + never_changed)
}

fn main() {
    drop(work(CancellationToken::new(), 1, 2, 3));
}
