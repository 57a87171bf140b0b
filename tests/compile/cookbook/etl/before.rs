use futures::{StreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
type Client = ();

async fn look_up(_client: Client, line: String) -> anyhow::Result<String> {
    Ok(line)
}

// readme
async fn etl(client: Client) -> anyhow::Result<()> {
    let lines = BufReader::new(tokio::io::stdin()).lines();
    let lines = stream::try_unfold(lines, async |mut lines| {
        let line = lines.next_line().await?;
        anyhow::Ok(line.map(|line| (line, lines)))
    });
    let rows = lines
        .map(|line| async { look_up(client, line?).await })
        .buffer_unordered(64);
    let mut rows = std::pin::pin!(rows);
    let mut out = tokio::io::stdout();
    while let Some(row) = rows.next().await {
        // one bad line: the end, and 63 requests are dropped
        let row = row?;
        // meanwhile no request makes progress: timeouts
        out.write_all(row.as_bytes()).await?;
    }
    Ok(()) // Ctrl-C: the process is killed in the middle
}
// end
