//! The end of the pipeline.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufWriter};
use tokio_supervised::supervised;

use super::{PipelineError, Progress};
use crate::inlet::Inlet;

/// Writes lines as they arrive. Flushes if none is waiting, so no reader waits for a buffer to fill.
#[supervised(name = "write", on_cancel = "cooperate", grace = "5s")]
pub(super) async fn write<W>(
    from: Inlet<Vec<u8>>,
    to: W,
    progress: Arc<Progress>,
) -> Result<(), PipelineError>
where
    W: AsyncWrite + Send + Unpin,
{
    let mut from = from.open();
    let mut to = BufWriter::new(to);
    let mut taken = 0;
    while let Some(line) = from.recv().await {
        to.write_all(&line).await.map_err(PipelineError::Write)?;
        taken += 1;
        if from.is_empty() {
            to.flush().await.map_err(PipelineError::Write)?;
            progress.written.store(taken, Relaxed);
        }
    }
    to.shutdown().await.map_err(PipelineError::Write)?;
    progress.written.store(taken, Relaxed);
    Ok(())
}
