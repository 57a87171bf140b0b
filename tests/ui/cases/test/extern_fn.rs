use tokio_supervised::supervised;

#[supervised::test]
async extern "C" fn works() {}

fn main() {}
