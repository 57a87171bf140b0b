use tokio_supervised::supervised;

#[supervised]
#[supervised::test]
async fn works() {}

fn main() {}
