use tokio_supervised::{supervised, TaskError};

use tokio_supervised::CancellationToken as Stop;

#[supervised(token = stop)]
async fn fetch(url: &str, stop: &Stop) -> Result<(), TaskError> {
    let _ = url;
    stop.cancelled().await;
    Ok(())
}

fn main() {}
