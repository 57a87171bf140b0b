use std::sync::Arc;
use tokio::{sync::Semaphore, task::JoinSet};
type Url = String;

async fn download(url: Url) -> anyhow::Result<String> {
    Ok(url)
}

// readme
async fn fetch_all(urls: Vec<Url>) -> Vec<String> {
    let permits = Arc::new(Semaphore::new(16));
    let mut tasks = JoinSet::new();
    for url in urls {
        // one task per URL, all at once
        let permits = permits.clone();
        tasks.spawn(async move {
            let _permit = permits.acquire().await?;
            download(url).await // may hang for ever
        });
    }
    let mut pages = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            // in completion order: which URL was it?
            Ok(Ok(page)) => pages.push(page),
            Ok(Err(error)) => eprintln!("{error}"),
            // a panic: in which task, and where?
            Err(error) => eprintln!("{error}"),
        }
    }
    pages // Ctrl-C: all pages are lost
}
// end
