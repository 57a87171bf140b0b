use tokio_supervised::supervised;

#[supervised::main(limit = 4)]
async fn main() {}
