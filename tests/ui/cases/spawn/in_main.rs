use tokio_supervised::{CancellationToken, supervised};

#[supervised::main]
async fn main(token: CancellationToken) {
    tokio::spawn(async move { token.cancelled().await });
}
