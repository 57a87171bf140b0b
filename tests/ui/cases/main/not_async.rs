use tokio_supervised::{supervised, TaskError};

#[supervised::main]
fn main() -> Result<(), TaskError> {
    Ok(())
}
