use tokio_supervised::supervised;

#[supervised::main(linger = "5s", grace = "5s")]
async fn main() {}
