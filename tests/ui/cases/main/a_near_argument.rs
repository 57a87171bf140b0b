use tokio_supervised::supervised;

#[supervised::main(flavour = "current_thread")]
async fn main() {}
