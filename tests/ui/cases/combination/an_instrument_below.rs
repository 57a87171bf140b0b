//! `instrument` is applied first and cannot record the token that the attribute adds.

use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
#[tracing::instrument]
async fn spawns() -> Result<(), TaskError> {
    tokio::spawn(async {});
    Ok(())
}

#[supervised(limt = 3)]
#[tracing::instrument]
fn not_async() -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    let token = CancellationToken::new();
    drop((spawns(&token), not_async(&token)));
}
