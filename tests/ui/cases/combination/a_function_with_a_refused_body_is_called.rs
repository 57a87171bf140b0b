use tokio_supervised::{CancellationToken, Group, TaskError, map, supervised};

#[supervised]
async fn fetch(token: &CancellationToken, url: u32) -> Result<u32, TaskError> {
    tokio::spawn(async {});
    Ok(url)
}

#[supervised(restart = "on-failure")]
async fn watch(size: u32) -> Result<u32, TaskError> {
    loop {
        drop(size.to_string());
    }
}

async fn run(token: CancellationToken) -> Result<u32, TaskError> {
    let group = Group::new(&token);
    group.spawn(|token| fetch(token, 1)).await;
    group.spawn(|token| watch(token, 2)).await;
    let pages: Vec<u32> = map(&token, [1, 2], fetch).await?;
    let sizes: Vec<u32> = group.join().await?;
    Ok(fetch(&token, pages[0]).await? + watch(&token, sizes[0]).await?)
}

fn main() {
    drop(run(CancellationToken::new()));
}
