use std::time::Duration;

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(restart = "on-failure")]
async fn count() -> Result<u32, TaskError> {
    Ok(1)
}

fn main() {
    drop(count(CancellationToken::new()).interval(Duration::from_secs(1)));
}
