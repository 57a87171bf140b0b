use tokio_supervised::{supervised, CancellationToken, TaskError};

use std::{future::Future, rc::Rc};

trait Store {
    fn save(&self, token: CancellationToken) -> impl Future<Output = Result<(), TaskError>> + Send;
}

struct Memory;

impl Store for Memory {
    #[supervised]
    async fn save(&self, token: CancellationToken) -> Result<(), TaskError> {
        let held = Rc::new(1);
        token.cancelled().await;
        drop(held);
        Ok(())
    }
}

fn main() {}
