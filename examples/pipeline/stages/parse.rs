//! Finds the cells of a line.

use tokio::sync::mpsc::Sender;
use tokio_supervised::supervised;

use super::{Line, PipelineError, Record};
use crate::inlet::Inlet;

/// It does not check the token: its channel is closed when the source has stopped.
#[supervised(name = "parse", on_cancel = "cooperate", grace = "5s")]
pub(super) async fn parse(from: Inlet<Line>, to: Sender<Record>) -> Result<(), PipelineError> {
    let mut from = from.open();
    while let Some(Line { number, bytes }) = from.recv().await {
        let record = cells(bytes).map_err(|reason| PipelineError::Line { number, reason })?;
        if to.send(record).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn cells(bytes: Vec<u8>) -> Result<Record, &'static str> {
    match bytes.iter().position(|&byte| byte == b'\t') {
        Some(0) => Err("the key is empty"),
        Some(tab) => Ok(Record { bytes, tab }),
        None => Err("no tab between a key and a value"),
    }
}
