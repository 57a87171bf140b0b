use tokio_supervised::supervised;

#[supervised]
async fn pass<T>(value: T) -> T {
    value
}

fn main() {}
