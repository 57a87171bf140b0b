use tokio_supervised::supervised;

#[supervised::test]
#[tokio::main]
async fn works() {}

fn main() {}
