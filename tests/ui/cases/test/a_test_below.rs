use tokio_supervised::supervised;

#[supervised::test]
#[test]
async fn works() {}

fn main() {}
