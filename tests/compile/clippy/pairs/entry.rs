//! The entry of a program.

use tokio_supervised::{CancellationToken, TaskError};

#[tokio_supervised::supervised::main]
async fn main(token: CancellationToken) -> Result<(), TaskError> {
    let token = token;
    token.cancelled().await;
    let mut never_changed = (1);
    let unused: Option<u32> = None;
    unused.unwrap();
    return Ok(());
}
