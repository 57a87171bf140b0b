use tokio_supervised::supervised;

#[supervised::test(start_paused)]
async fn works() {}

fn main() {}
