use std::{io, sync::{Arc, Mutex, PoisonError}, time::Duration};
use tokio::time::sleep;
use tokio_supervised::{CancellationToken, shield, supervised};

#[derive(Default)]
struct Buffer(Mutex<Vec<String>>);

impl Buffer {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn remove(&self, count: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..count);
    }
}

async fn append(_lines: &[String]) -> io::Result<()> {
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);

// readme
async fn flush(buffer: &Buffer) -> io::Result<()> {
    let lines = buffer.lines();
    append(&lines).await?;
    buffer.remove(lines.len()); // on disk: only now
    Ok(())
}

// an error or a panic: told, counted, and begun again
#[supervised(restart = "on-failure", max_restarts = "5/1m")]
async fn flusher(
    token: &CancellationToken,
    buffer: Arc<Buffer>,
) -> io::Result<()> {
    loop {
        token.run_until_cancelled(sleep(SECOND)).await;
        // not in the middle of a line, whatever happens
        shield(5 * SECOND, |_| flush(&buffer)).await?;
        if token.is_cancelled() {
            return Ok(()); // the last second is written
        }
    }
}
// end
