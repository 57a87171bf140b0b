use tokio_supervised::{supervised, TaskError};

#[supervised]
#[tokio::test]
async fn works() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
