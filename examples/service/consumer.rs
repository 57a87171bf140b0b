//! The consumer: processes one job after the other, up to the last accepted one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    fs::{File, OpenOptions},
    io::AsyncWriteExt,
    sync::mpsc,
    time::sleep,
};
use tokio_supervised::{CancellationToken, supervised};

use crate::{faults::Fault, numbers::Numbers};

pub(crate) struct Work {
    pub(crate) jobs: mpsc::Receiver<String>,
    pub(crate) done: Done,
    /// How long a job takes.
    pub(crate) takes: Duration,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) fault: Fault,
}

/// When cancelled, it takes nothing new into its queue, and finishes the jobs in it.
#[supervised(name = "consumer", grace = "8s")]
pub(crate) async fn consume(token: &CancellationToken, work: Work) -> anyhow::Result<()> {
    let Work { mut jobs, mut done, takes, numbers, fault } = work;
    loop {
        let job = tokio::select! {
            biased;
            error = fault.strikes() => return Err(error),
            // It is closed when the last sender is dropped. A connection that outlives its server has one.
            () = token.cancelled(), if !jobs.is_closed() => {
                jobs.close();
                continue;
            }
            job = jobs.recv() => job,
        };
        let Some(job) = job else { return done.close().await };
        sleep(takes).await;
        done.write(&job).await?;
        numbers.done();
    }
}

/// The file of finished jobs.
pub(crate) struct Done {
    path: PathBuf,
    file: File,
}

impl Done {
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let opened = OpenOptions::new().create(true).append(true).open(path).await;
        let file = opened.with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    async fn write(&mut self, job: &str) -> anyhow::Result<()> {
        let line = format!("{}\n", job.escape_debug());
        let mut written = self.file.write_all(line.as_bytes()).await;
        // Otherwise it is written in the background, and an error would be reported with the next job.
        if written.is_ok() {
            written = self.file.flush().await;
        }
        written.with_context(|| self.failed())
    }

    async fn close(self) -> anyhow::Result<()> {
        self.file.sync_all().await.with_context(|| self.failed())
    }

    fn failed(&self) -> String {
        format!("the consumer cannot write `{}`", self.path.display())
    }
}
