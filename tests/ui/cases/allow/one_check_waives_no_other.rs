use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(allow(blocking_sleep, unused_token))]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    std::thread::sleep(std::time::Duration::from_secs(1));
    tokio::spawn(async {});
    Ok(())
}

fn main() {}
