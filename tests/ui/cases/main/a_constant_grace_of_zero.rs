use tokio_supervised::supervised;

const NONE: std::time::Duration = std::time::Duration::ZERO;

#[supervised::main(grace = NONE)]
async fn main() {}
