use tokio_supervised::{supervised, TaskError};

struct Stop;

#[supervised(token = stop, restart = "on-failure")]
async fn given(stop: Stop) -> Result<(), TaskError> {
    drop(stop);
    Ok(())
}

#[supervised(token = stop, restart = "on-failure")]
async fn lent(stop: &Stop) -> Result<(), TaskError> {
    drop(stop);
    Ok(())
}

fn main() {}
