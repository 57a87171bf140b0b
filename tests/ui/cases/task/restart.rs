use tokio_supervised::{task, TaskError};

fn main() {
    let _ = task!("tick", restart = "on-failure", backoff = "1s..2s", |_| -> Result<(), TaskError> { Ok(()) });
}
