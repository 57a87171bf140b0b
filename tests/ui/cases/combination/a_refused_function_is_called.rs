use tokio_supervised::{supervised, CancellationToken, TaskError, map};

#[supervised(limt = 16)]
async fn fetch(url: &str) -> Result<usize, TaskError> {
    Ok(url.len())
}

#[supervised(limit = 0, timeout = 10)]
async fn store(token: &CancellationToken, size: usize) -> Result<(), TaskError> {
    let _ = (token.is_cancelled(), size);
    Ok(())
}

#[supervised]
fn count(sizes: &[usize]) -> Result<usize, TaskError> {
    Ok(sizes.len())
}

#[supervised]
async fn show(size: usize) -> impl std::fmt::Display {
    size
}

async fn run(token: CancellationToken) -> Result<(), TaskError> {
    let size = fetch(&token, "/").await?;
    store(&token, size).await?;
    count(&token, &[size]).await?;
    println!("{}", show(&token, size).await);
    map(&token, [1, 2], store).await?;
    Ok(())
}

fn main() {
    drop(run(CancellationToken::new()));
}
