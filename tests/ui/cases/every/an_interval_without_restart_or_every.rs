use std::time::Duration;

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    drop(work(CancellationToken::new()).interval(Duration::from_secs(1)));
}
