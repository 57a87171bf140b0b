use tokio_supervised::supervised;

#[supervised::test]
struct Works;

fn main() {}
