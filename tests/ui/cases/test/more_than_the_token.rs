use tokio_supervised::supervised;

#[supervised::test]
async fn works(token: tokio_supervised::CancellationToken, case: u32) {
    token.cancelled().await;
}

fn main() {}
