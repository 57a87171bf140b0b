use tokio_supervised::supervised;

#[supervised::test]
#[supervised::test]
async fn works() {}

fn main() {}
