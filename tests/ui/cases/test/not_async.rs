use tokio_supervised::supervised;

#[supervised::test]
fn works() {}

fn main() {}
