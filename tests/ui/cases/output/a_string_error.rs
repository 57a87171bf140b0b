use tokio_supervised::supervised;

#[supervised]
async fn parse(text: &str) -> Result<usize, String> {
    Ok(text.len())
}

fn main() {}
