use tokio_supervised::supervised;

#[supervised::test]
async fn works<T>() {}

fn main() {}
