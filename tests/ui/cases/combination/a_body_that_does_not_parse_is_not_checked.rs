use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    tokio::spawn(async {});
    let page = ;
    Ok(())
}

fn main() {}
