use tokio_supervised::supervised;

#[supervised::test(leaks = true)]
async fn works() {}

fn main() {}
