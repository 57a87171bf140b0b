use tokio_supervised::supervised;

#[supervised::main]
async extern "C" fn main() {}
