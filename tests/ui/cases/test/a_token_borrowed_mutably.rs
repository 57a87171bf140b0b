use tokio_supervised::supervised;

#[supervised::test]
async fn works(token: &mut tokio_supervised::CancellationToken) {
    token.cancelled().await;
}

fn main() {}
