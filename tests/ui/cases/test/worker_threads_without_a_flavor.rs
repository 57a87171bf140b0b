use tokio_supervised::supervised;

#[supervised::test(worker_threads = 2)]
async fn works() {}

fn main() {}
