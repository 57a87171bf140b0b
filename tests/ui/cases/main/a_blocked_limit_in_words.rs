use tokio_supervised::supervised;

#[supervised::main(warn_blocked = "on")]
async fn main() {}
