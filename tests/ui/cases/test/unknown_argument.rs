use tokio_supervised::supervised;

#[supervised::test(limit = 4)]
async fn works() {}

fn main() {}
