use tokio_supervised::{supervised, CancellationToken};

#[supervised::main]
async fn main(token: &mut CancellationToken) {
    token.cancelled().await;
}
