use tokio_supervised::supervised;

#[supervised::main]
struct Main;

fn main() {}
