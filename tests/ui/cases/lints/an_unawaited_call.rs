#![deny(unused_must_use)]

use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    work(CancellationToken::new());
}
