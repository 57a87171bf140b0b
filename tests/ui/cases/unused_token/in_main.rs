use tokio_supervised::{CancellationToken, supervised};

#[supervised::main]
async fn main(token: CancellationToken) {
    std::future::pending().await
}
