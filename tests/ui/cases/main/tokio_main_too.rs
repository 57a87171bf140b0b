use tokio_supervised::supervised;

#[supervised::main]
#[tokio::main]
async fn main() {}
