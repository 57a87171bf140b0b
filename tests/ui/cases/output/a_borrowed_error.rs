use tokio_supervised::supervised;

#[supervised]
async fn parse(text: &str) -> Result<usize, &str> {
    if text.is_empty() { Err(text) } else { Ok(text.len()) }
}

fn main() {}
