use tokio_supervised::{supervised, TaskError};

#[tokio::test]
#[supervised]
async fn works() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
