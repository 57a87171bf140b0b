use tokio_supervised::{task, TaskError};

fn main() {
    _ = task!("tick", every = "30s", |_| -> Result<(), TaskError> { Ok(()) });
}
