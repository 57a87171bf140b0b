//! Adds the checksum to the cells.

use tokio::sync::mpsc::Sender;
use tokio_supervised::supervised;

use super::{PipelineError, Record};
use crate::{checksum::crc32, inlet::Inlet};

/// It ends when the stage before it has ended and its channel is empty.
#[supervised(name = "sum", on_cancel = "cooperate", grace = "5s")]
pub(super) async fn sum(from: Inlet<Record>, to: Sender<Vec<u8>>) -> Result<(), PipelineError> {
    let mut from = from.open();
    while let Some(Record { mut bytes, tab }) = from.recv().await {
        let sum = format!("\t{:08x}", crc32(&bytes[tab + 1..]));
        bytes.splice(tab..tab, sum.into_bytes());
        bytes.push(b'\n');
        if to.send(bytes).await.is_err() {
            break;
        }
    }
    Ok(())
}
