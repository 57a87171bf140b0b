use tokio_supervised::supervised;

#[supervised]
struct Work;

fn main() {}
