use tokio_supervised::supervised;

#[supervised::main(signals = "")]
async fn main() {}
