use tokio_supervised::{supervised, TaskError};

#[supervised(limt = 16)]
async fn first() -> Result<(), TaskError> {
    Ok(())
}

#[supervised(tymeout = "1s")]
async fn second() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
