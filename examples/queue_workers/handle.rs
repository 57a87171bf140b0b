//! One message: the functions that the program is about.

use std::{io, num::ParseIntError, str::Utf8Error, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_supervised::{CancellationToken, TaskError, shield, supervised};

use crate::{journal::Journal, queue::Message};

/// How long recording the end of a message may take.
const WRITING: Duration = Duration::from_secs(5);

/// Processes one message, and acknowledges it, however it ended.
///
/// When cancelled, it abandons the work and leaves the message to the next start; a message whose work has ended is
/// acknowledged.
#[supervised(name = "handle", on_cancel = "drop")]
pub(crate) async fn handle(
    token: &CancellationToken,
    journal: Arc<Journal>,
    message: Message,
    work: Duration,
) -> anyhow::Result<()> {
    let end = item_price(token, &message.text, work).await;
    if let Err(WorkError::Task(error @ TaskError::Cancelled(_))) = end {
        return Err(error.into());
    }
    shield(WRITING, |token| acknowledge(token, journal, message, end)).await?;
    Ok(())
}

/// The price of one item of an order: `17 3 600` gives `17 200`.
///
/// It trusts the message to have items, as code that was tested with good messages does: a message without items
/// divides by zero, which panics. The panic costs only that message.
#[supervised(name = "item price", timeout = "10s")]
async fn item_price(message: &[u8], work: Duration) -> Result<String, WorkError> {
    if !work.is_zero() {
        sleep(work).await;
    }
    let mut numbers = std::str::from_utf8(message)?.split_ascii_whitespace().map(str::parse::<u64>);
    let mut number = |what| numbers.next().ok_or(WorkError::Missing(what));
    let (order, items, cents) = (number("order")??, number("items")??, number("cents")??);
    Ok(format!("{order} {}", cents / items))
}

/// Records how a message ended, on a blocking thread. Both records are one piece of work there: once started, it cannot
/// be interrupted by this task.
#[supervised(name = "acknowledge")]
async fn acknowledge(
    journal: Arc<Journal>,
    message: Message,
    end: Result<String, WorkError>,
) -> io::Result<()> {
    spawn_blocking(move || journal.settle(&message, end)).await?
}

/// Why a message is dead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    /// Errors of the boundary: a panic, the timeout.
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("missing field: {0}")]
    Missing(&'static str),
    #[error(transparent)]
    Number(#[from] ParseIntError),
    #[error(transparent)]
    Text(#[from] Utf8Error),
}
