/// Downloads one page.
#[supervised(limit = 16, timeout = "10s")]
pub async fn fetch(mut client: Client, (host, path): (String, String)) -> Result<Page, Error> {
    client.get(host, path).await
}
