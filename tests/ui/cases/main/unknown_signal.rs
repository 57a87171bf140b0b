use tokio_supervised::supervised;

#[supervised::main(signals = "int SIGHUP")]
async fn main() {}
