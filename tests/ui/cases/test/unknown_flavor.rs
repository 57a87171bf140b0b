use tokio_supervised::supervised;

#[supervised::test(flavor = "current-thread")]
async fn works() {}

fn main() {}
