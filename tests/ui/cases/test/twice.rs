use tokio_supervised::supervised;

#[supervised::test(leaks = "allow", leaks = "allow")]
async fn works() {}

fn main() {}
