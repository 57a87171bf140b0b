use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    let mut later = Vec::new();
    loop {
        later.push(Box::pin(async { std::future::ready(1).await }));
    }
}

fn main() {}
