use tokio_supervised::supervised;

#[supervised::test]
async fn works(token: tokio_supervised::CancellationToken) {}

fn main() {}
