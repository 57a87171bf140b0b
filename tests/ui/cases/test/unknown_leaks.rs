use tokio_supervised::supervised;

#[supervised::test(leaks = "alow")]
async fn works() {}

fn main() {}
