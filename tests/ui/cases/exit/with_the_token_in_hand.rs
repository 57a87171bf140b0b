use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    loop {
        token.is_cancelled();
    }
}

fn main() {}
