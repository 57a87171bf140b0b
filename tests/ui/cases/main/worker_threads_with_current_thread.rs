use tokio_supervised::supervised;

#[supervised::main(flavor = "current_thread", worker_threads = 2)]
async fn main() {}
