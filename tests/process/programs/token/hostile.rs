//! Hooks and streams that block or panic at the worst moment.

use std::{future::pending, io::Write};

use tokio_supervised::{CancellationToken, TaskError, supervised};
use tracing::{Event, Metadata, Subscriber, span};

use crate::common::{BlockingReport, block, say};

#[supervised]
async fn never() -> Result<(), TaskError> {
    pending().await
}

pub(crate) async fn body(wanted: &str, token: &CancellationToken) -> anyhow::Result<()> {
    match wanted {
        "a subscriber that blocks" => {
            tracing::subscriber::set_global_default(Hostile(|| block()))?;
            say("READY");
            Ok(never(token).await?)
        }
        "a subscriber that panics" => {
            tracing::subscriber::set_global_default(Hostile(|| panic!("no disk for logs")))?;
            say("READY");
            Ok(never(token).await?)
        }
        "stdout is locked for good" => {
            std::thread::spawn(|| {
                let mut out = std::io::stdout().lock();
                writeln!(out, "READY").expect("the test reads stdout");
                block()
            });
            Ok(never(token).await?)
        }
        "hangs in exit" => {
            std::thread::spawn(|| {
                LAST.with(|_| ());
                std::process::exit(3)
            });
            token.cancelled().await;
            say("CANCELLED");
            pending().await
        }
        "an error whose report blocks" => {
            say("READY");
            token.cancelled().await;
            Err(anyhow::Error::new(BlockingReport))
        }
        _ => anyhow::bail!("no such body: {wanted}"),
    }
}

/// Blocks the exit in the drop of a thread-local of the exiting thread.
struct Hangs;

impl Drop for Hangs {
    fn drop(&mut self) {
        say("READY");
        block()
    }
}

thread_local! {
    static LAST: Hangs = const { Hangs };
}

/// Blocks or panics at each event of the crate.
struct Hostile(fn());

impl Subscriber for Hostile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tokio_supervised"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {
        (self.0)();
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
