use tokio_supervised::supervised;

#[supervised::main(signals = [hup])]
async fn main() {}
