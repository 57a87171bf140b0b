use tokio_supervised::supervised;

#[supervised::test]
#[supervised::main]
async fn works() {}

fn main() {}
