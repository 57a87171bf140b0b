use tokio_supervised::{supervised, TaskError};

struct Stop;

#[supervised(token = stop, restart = "on-failure")]
async fn given(stop: Stop) -> Result<(), TaskError> {
    let _ = stop;
    Ok(())
}

#[supervised(token = stop, restart = "on-failure")]
async fn lent(stop: &Stop) -> Result<(), TaskError> {
    let _ = stop;
    Ok(())
}

fn main() {}
