use tokio_supervised::supervised;

#[supervised::main(warn_blocked = "0s")]
async fn main() {}
