use tokio_supervised::{supervised, TaskError};

#[supervised(limt = 16, name = "", timeout = "soon", on_full = "reject")]
fn work() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
