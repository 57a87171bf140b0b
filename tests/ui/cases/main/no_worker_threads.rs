use tokio_supervised::supervised;

#[supervised::main(worker_threads = 0)]
async fn main() {}
