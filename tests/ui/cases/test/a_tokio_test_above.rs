use tokio_supervised::supervised;

#[tokio::test]
#[supervised::test]
async fn works() {}

fn main() {}
