use std::time::Duration;
use tokio_supervised::TaskError;

async fn work() -> Result<(), TaskError> {
    Ok(())
}

async fn run() -> Result<(), TaskError> {
    work().grace(Duration::from_secs(1)).await
}

fn main() {
    drop(run());
}
