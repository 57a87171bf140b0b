use tokio_supervised::supervised;

#[supervised]
async fn pass<E>(result: Result<u32, E>) -> Result<u32, E> {
    result
}

fn main() {}
