use tokio_supervised::supervised;

#[derive(Debug)]
struct Failed;

#[supervised(limit = 4)]
async fn parse(text: &str) -> Result<usize, Failed> {
    if text.is_empty() { Err(Failed) } else { Ok(text.len()) }
}

fn main() {}
