use tokio_supervised::supervised;

#[supervised::main]
#[supervised]
async fn main() {}
