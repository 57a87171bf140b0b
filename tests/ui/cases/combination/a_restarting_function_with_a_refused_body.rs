use tokio_supervised::{CancellationToken, TaskError, supervised};

struct NotClone;

#[supervised(restart = "on-failure")]
async fn work(token: &CancellationToken, what: NotClone) -> Result<(), TaskError> {
    drop(what);
    std::thread::sleep(std::time::Duration::from_secs(1));
    Ok(())
}

fn main() {}
