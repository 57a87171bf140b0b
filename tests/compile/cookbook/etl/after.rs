use futures::{Stream, stream};
use tokio::io::AsyncWriteExt;
use tokio_supervised::{CancellationToken, is_cancelled, map_stream, supervised};
type Client = ();

async fn request(_client: Client, line: String) -> anyhow::Result<String> {
    Ok(line)
}

fn may_pass(_error: &anyhow::Error) -> bool {
    true
}

fn lines() -> impl Stream<Item = String> + Send {
    stream::empty()
}

// readme
// a timeout for each attempt, retries of errors that may pass
#[supervised(
    limit = 64,
    timeout = "2s",
    restart = "on-failure",
    restart_if = may_pass,
    max_restarts = "5/1m"
)]
async fn look_up(
    client: Client,
    line: String,
) -> anyhow::Result<String> {
    request(client, line).await
}

async fn etl(
    token: &CancellationToken,
    client: Client,
) -> anyhow::Result<usize> {
    let look_up = move |token, line| look_up(token, client, line);
    let mut rows = map_stream(token, lines(), look_up).unordered();
    let (mut out, mut failed) = (tokio::io::stdout(), 0);
    while let Some(row) = rows.next().await {
        match row {
            // the requests continue meanwhile
            Ok(row) => out.write_all(row.as_bytes()).await?,
            // Ctrl-C: what has started was written; this is last
            Err(error) if is_cancelled(&*error) => return Err(error),
            Err(_) => failed += 1, // one bad line, or one panic
        }
    }
    Ok(failed)
}
// end
