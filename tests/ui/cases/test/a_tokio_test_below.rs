use tokio_supervised::supervised;

#[supervised::test]
#[tokio::test(start_paused = true)]
async fn works() {}

fn main() {}
