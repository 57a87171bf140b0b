use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(limit = 0, timeout = "soon", allow(nothing))]
async fn work(path: String, token: &mut CancellationToken) -> bool {
    tokio::spawn(async {});
    std::thread::sleep(std::time::Duration::from_secs(1));
    loop {
        drop(path.clone());
    }
}

async fn called(token: CancellationToken) -> Result<(), TaskError> {
    if work("/".to_owned(), &token).await {
        return Ok(());
    }
    Ok(())
}

fn main() {}
