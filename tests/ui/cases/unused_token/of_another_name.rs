use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(token = stop)]
async fn work(stop: &Stop) -> Result<(), TaskError> {
    Ok(())
}

type Stop = CancellationToken;

fn main() {}
