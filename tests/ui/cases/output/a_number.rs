use tokio_supervised::supervised;

#[supervised]
async fn count(items: Vec<u32>) -> u32 {
    items.iter().sum()
}

fn main() {}
