use tokio_supervised::supervised;

#[supervised::test(start_pause = true)]
async fn works() {}

fn main() {}
