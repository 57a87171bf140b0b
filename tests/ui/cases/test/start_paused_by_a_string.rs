use tokio_supervised::supervised;

#[supervised::test(start_paused = "true")]
async fn works() {}

fn main() {}
