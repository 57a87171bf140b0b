//! A TCP server whose connections stop with main's token.

use std::{io, process::ExitCode, process::Termination, time::Duration};

use super::common::say;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_supervised::{CancellationToken, Pool, supervised};

/// Answers each line with the same line. When the token fires, it finishes the current line, and closes.
#[supervised(name = "connection")]
async fn connection(token: &CancellationToken, mut stream: TcpStream) -> io::Result<()> {
    while let Some(first) = token.run_until_cancelled(stream.read_u8()).await {
        let Ok(first) = first else { break };
        if first == b'<' {
            say("BUSY");
        }
        let mut line = vec![first];
        while line.last() != Some(&b'\n') {
            line.push(stream.read_u8().await?);
        }
        stream.write_all(&line).await?;
    }
    Ok(())
}

#[supervised(name = "accept")]
async fn accept(
    token: &CancellationToken,
    listener: TcpListener,
    pool: &Pool,
) -> anyhow::Result<()> {
    while let Ok(slot) = pool.reserve().await {
        let Some(accepted) = token.run_until_cancelled(listener.accept()).await else { break };
        let (stream, _) = accepted?;
        slot.spawn(|token| connection(token, stream));
    }
    Ok(())
}

#[supervised::main(grace = "40s", worker_threads = 2)]
async fn serve(token: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&listener.local_addr()?.to_string());
    let pool = Pool::new(400).stop_with(&token);
    accept(&token, listener, &pool).await?;
    let drained = pool.drain(Duration::from_secs(30)).await?;
    say(&format!("DRAINED {}", drained.tasks));
    Ok(())
}

pub(crate) fn main() -> ExitCode {
    serve().report()
}
