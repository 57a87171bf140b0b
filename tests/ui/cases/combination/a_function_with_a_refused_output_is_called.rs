use tokio_supervised::{supervised, CancellationToken};

#[supervised]
async fn count(items: Vec<u32>) -> u32 {
    items.iter().sum()
}

async fn run(token: CancellationToken) -> u32 {
    count(&token, vec![1]).await + 1
}

fn main() {
    drop(run(CancellationToken::new()));
}
