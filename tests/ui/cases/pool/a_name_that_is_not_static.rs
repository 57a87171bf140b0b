use tokio_supervised::Pool;

fn pool(client: u32) -> Pool {
    Pool::new(100).name(format!("client {client}"))
}

fn main() {
    drop(pool(7));
}
