//! One client.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::{sleep, timeout},
};
use tokio_supervised::{CancellationToken, supervised};

/// The longest line, its end included: the most that a client can make the server hold.
const LONGEST_LINE: usize = 8 * 1024;

/// Serves one client until it leaves, is idle for too long, or the token fires.
///
/// A broken connection is the client's affair: it is logged at `DEBUG`, not reported as a failure of the pool.
#[supervised(grace = "5s")]
pub(crate) async fn connection(
    token: &CancellationToken,
    mut stream: TcpStream,
    idle: Duration,
    work: Duration,
) {
    if let Err(error) = Client::new(&mut stream, idle).serve(token, work).await {
        tracing::debug!(%error, "connection lost");
    }
}

pub(crate) struct Client<'a> {
    read: BufReader<ReadHalf<'a>>,
    write: WriteHalf<'a>,
    idle: Duration,
}

impl<'a> Client<'a> {
    pub(crate) fn new(stream: &'a mut TcpStream, idle: Duration) -> Self {
        let (read, write) = stream.split();
        Self { read: BufReader::new(read), write, idle }
    }

    /// Answers line by line. When the token fires, the lines that have arrived are answered, and nothing more is read.
    pub(crate) async fn serve(
        &mut self,
        token: &CancellationToken,
        work: Duration,
    ) -> io::Result<()> {
        loop {
            let line = if self.read.buffer().contains(&b'\n') {
                self.read_line().await?
            } else {
                match token.run_until_cancelled(timeout(self.idle, self.read_line())).await {
                    Some(Ok(line)) => line?,
                    Some(Err(_elapsed)) => return self.send(b"idle for too long\n").await,
                    None => return self.send(b"bye\n").await,
                }
            };
            if line.is_empty() {
                return Ok(());
            }
            if line.len() == LONGEST_LINE && !line.ends_with(b"\n") {
                return self.send(b"the line is too long\n").await;
            }
            sleep(work).await;
            self.send(&line.to_ascii_uppercase()).await?;
        }
    }

    /// The next line with its end; nothing at the end of the stream.
    async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.read).take(LONGEST_LINE as u64);
        bounded.read_until(b'\n', &mut line).await?;
        Ok(line)
    }

    /// Writes, unless the client does not read for as long as it may be idle.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(self.idle, self.write.write_all(bytes)).await?
    }
}
