//! Two components under one `main`: the first to end stops the other, and Ctrl-C stops both.
//!
//! ```text
//! cargo run --example components
//! ```

use std::time::Duration;

use tokio_supervised::{CancellationToken, Group, TaskError, supervised};

/// Ends by itself after a second.
#[supervised]
async fn count() -> Result<(), TaskError> {
    for n in 1..=10 {
        println!("{n}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Takes the token, and cleans up when it fires: within its grace.
#[supervised(grace = "5s")]
async fn serve(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    println!("the server closes its connections");
    Ok(())
}

#[supervised::main]
async fn main(token: CancellationToken) -> Result<(), TaskError> {
    let group = Group::new(&token).until_first_exit();
    group.spawn(serve).await;
    group.spawn(count).await;
    group.join().await.map(drop)
}
