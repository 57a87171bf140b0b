use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    std::thread::sleep(std::time::Duration::from_secs(1));
    Ok(())
}

fn main() {}
