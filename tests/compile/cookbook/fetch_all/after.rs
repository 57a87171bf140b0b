use tokio_supervised::{CancellationToken, map, supervised};
type Url = String;

async fn download(url: Url) -> anyhow::Result<String> {
    Ok(url)
}

// readme
#[supervised(limit = 16, timeout = "10s")]
async fn fetch(url: Url) -> anyhow::Result<String> {
    download(url).await
}

async fn fetch_all(
    token: &CancellationToken,
    urls: Vec<Url>,
) -> Vec<anyhow::Result<String>> {
    // 16 at once, in the order of the list; a panic is
    // an error with its place; Ctrl-C fires the token
    map(token, urls, fetch).settled().await
}
// end
