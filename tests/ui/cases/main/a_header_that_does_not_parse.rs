use tokio_supervised::{supervised, CancellationToken};

#[supervised::main]
async fn main(token CancellationToken) {
    token.cancelled().await;
}
