use tokio_supervised::supervised;

#[supervised::main(workers = 4)]
async fn main() {}
