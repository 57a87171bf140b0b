use tokio_supervised::supervised;

#[supervised::test]
#[supervised(limit = 4)]
async fn works() {}

fn main() {}
