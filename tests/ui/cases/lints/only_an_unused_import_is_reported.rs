#![deny(unused_imports)]

use std::time::Duration;

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn watch(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

fn main() {
    drop(watch(&tokio_util::sync::CancellationToken::new()));
}
