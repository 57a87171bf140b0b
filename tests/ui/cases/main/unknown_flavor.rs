use tokio_supervised::supervised;

#[supervised::main(flavor = "local")]
async fn main() {}
