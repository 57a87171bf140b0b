use tokio_supervised::supervised;

#[supervised::main(grace = "0s")]
async fn main() {}
