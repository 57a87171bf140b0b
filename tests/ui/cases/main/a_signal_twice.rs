use tokio_supervised::supervised;

#[supervised::main(signals = "int term int")]
async fn main() {}
