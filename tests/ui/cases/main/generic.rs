use tokio_supervised::supervised;

#[supervised::main]
async fn main<T>() {}
