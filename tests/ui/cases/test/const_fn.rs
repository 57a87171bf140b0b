use tokio_supervised::supervised;

#[supervised::test]
const async fn works() {}

fn main() {}
