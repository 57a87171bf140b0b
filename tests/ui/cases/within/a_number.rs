use std::time::Duration;
use tokio_supervised::{within, CancellationToken};

async fn run(token: &CancellationToken) -> u32 {
    within(token, Duration::from_secs(1), async move |_| 7).await
}

fn main() {
    drop(run(&CancellationToken::new()));
}
