use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    let _tasks: Vec<_> = [std::future::ready(1)].into_iter().map(tokio::spawn).collect();
    Ok(())
}

fn main() {}
