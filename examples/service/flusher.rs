//! The flusher: writes the numbers at intervals, and once more when nothing changes them any more.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    fs,
    time::{MissedTickBehavior, interval},
};
use tokio_supervised::{CancellationToken, Ready, supervised};

use crate::{faults::Fault, numbers::Numbers};

pub(crate) struct Metrics {
    pub(crate) path: PathBuf,
    /// Not zero.
    pub(crate) every: Duration,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) fault: Fault,
}

/// It is ready once the first numbers are written: if the file cannot be written, the process stops before it accepts
/// anything.
#[supervised(name = "flusher", grace = "3s")]
pub(crate) async fn flush(
    token: &CancellationToken,
    ready: Ready,
    metrics: Metrics,
) -> anyhow::Result<()> {
    let mut ticks = interval(metrics.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !token.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => {
                metrics.write().await?;
                ready.set();
            }
            error = metrics.fault.strikes() => return Err(error),
            () = token.cancelled() => {}
        }
    }
    // All other services have ended by now: these are the last numbers.
    metrics.write().await
}

impl Metrics {
    async fn write(&self) -> anyhow::Result<()> {
        let written = self.replace().await;
        written.with_context(|| format!("the flusher cannot write `{}`", self.path.display()))
    }

    /// A reader of the file sees the numbers of one moment.
    async fn replace(&self) -> io::Result<()> {
        let mut partial = self.path.clone().into_os_string();
        partial.push(".part");
        fs::write(&partial, self.numbers.text()).await?;
        fs::rename(&partial, &self.path).await
    }
}
