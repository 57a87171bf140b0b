//! The source: the only stage that checks the token.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _},
    sync::mpsc::Sender,
};
use tokio_supervised::{CancellationToken, supervised};

use super::{LONGEST, Line, PipelineError, Progress};
use crate::inlet::AllStarted;

/// Reads lines until the input ends or the token fires. A line that was already read is passed on.
#[supervised(name = "read", on_cancel = "cooperate", grace = "5s")]
pub(super) async fn read<R>(
    token: &CancellationToken,
    all_started: AllStarted,
    mut from: R,
    to: Sender<Line>,
    progress: Arc<Progress>,
) -> Result<(), PipelineError>
where
    R: AsyncBufRead + Send + Unpin,
{
    all_started.wait().await;
    let mut number = 0;
    while let Some(bytes) = next_line(token, &mut from, number + 1).await? {
        number += 1;
        progress.read.store(number, Relaxed);
        if to.send(Line { number, bytes }).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// If the token fires, half a line is dropped with this: it was never taken.
#[supervised(name = "next line")]
async fn next_line<R>(from: &mut R, number: u64) -> Result<Option<Vec<u8>>, PipelineError>
where
    R: AsyncBufRead + Send + Unpin,
{
    let mut line = Vec::new();
    // One more, for the line end.
    let longest = LONGEST as u64 + 1;
    from.take(longest).read_until(b'\n', &mut line).await.map_err(PipelineError::Read)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.is_empty() {
        return Ok(None);
    } else if line.len() > LONGEST {
        return Err(PipelineError::Line { number, reason: "longer than 1 MiB" });
    }
    Ok(Some(line))
}
