use tokio_supervised::supervised;

#[supervised::main(allow(no_exits))]
async fn main() {}
