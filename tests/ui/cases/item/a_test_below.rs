use tokio_supervised::{supervised, TaskError};

#[supervised]
#[test]
async fn works() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
