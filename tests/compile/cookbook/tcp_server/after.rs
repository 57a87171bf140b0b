// readme
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_supervised::{CancellationToken, Pool, supervised};

const RETRY: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(60);

fn answer(line: &str) -> String {
    line.to_uppercase()
}

// a panic is logged, and closes this connection only
#[supervised(grace = "5s")]
async fn connection(token: &CancellationToken, stream: TcpStream) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    // until the signal, the idle timeout, or the client's end
    while let Some(Ok(Ok(Some(line)))) = token
        .run_until_cancelled(timeout(IDLE, lines.next_line()))
        .await
    {
        let answer = answer(&line) + "\n";
        // also bounded: a client that does not read holds a slot
        let written = write.write_all(answer.as_bytes());
        if !matches!(timeout(IDLE, written).await, Ok(Ok(()))) {
            break;
        }
    }
}

#[supervised]
async fn accept(
    token: &CancellationToken,
    listener: TcpListener,
    pool: &Pool,
) -> anyhow::Result<()> {
    // a slot first: a full server leaves clients in the backlog
    while let Ok(slot) = pool.reserve().await {
        let accepted = listener.accept();
        match token.run_until_cancelled(accepted).await {
            Some(Ok((stream, _))) => {
                slot.spawn(|token| connection(token, stream));
            }
            Some(Err(_)) => sleep(RETRY).await,
            None => break,
        }
    }
    Ok(())
}

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:7000").await?;
    // on a signal, each connection finishes its line
    let pool = Pool::new(100).stop_with(&token);
    let accepted = accept(&token, listener, &pool).await;
    // waits until every connection is closed
    pool.drain(Duration::from_secs(15)).await?;
    accepted
}
// end
