use tokio_supervised::{supervised, CancellationToken, TaskError};

trait Work {
    fn work(&self, token: CancellationToken) -> impl Future<Output = Result<(), TaskError>>;
}

struct Idle;

impl Work for Idle {
    #[supervised]
    async fn work(&self, token: CancellationToken) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {}
