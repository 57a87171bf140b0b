use tokio_supervised::supervised;

#[supervised]
async fn first(items: Vec<u32>) -> Option<u32> {
    let first = items.first()?;
    Some(*first)
}

fn main() {}
