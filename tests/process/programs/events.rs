//! Mains that are cancelled, and their `tracing` events, each a line on stdout.

use std::{
    fmt::{Debug, Write},
    future::pending,
    time::Duration,
};

use super::common::{block, bodies_run, body_runs, say, wanted};
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, supervised};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};

/// Takes the token and ignores it.
#[supervised(name = "deaf", grace = "none", allow(unused_token))]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = token;
    body_runs();
    pending().await
}

/// Fails half a second after the first signal, and half a second before the grace ends.
#[supervised(name = "fails late")]
async fn fails_late(stopping: Stopping) -> anyhow::Result<()> {
    body_runs();
    stopping.0.cancelled().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    anyhow::bail!("it always fails")
}

/// The token of main, which is not the token of the task.
struct Stopping(CancellationToken);

#[supervised::main(grace = "1s", worker_threads = 2)]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    tracing::subscriber::set_global_default(Lines)?;
    match wanted().as_str() {
        "obeys" => {
            say("READY");
            token.cancelled().await;
        }
        "has a deaf task" | "has a deaf task, and shows spans" => {
            let group = Group::new(&token);
            group.spawn(deaf).await;
            bodies_run(1).await;
            say("READY");
            group.join().await?;
        }
        "leaves a deaf pool" | "leaves a deaf pool, and its warning never returns" => {
            let pool = Pool::new(1);
            pool.spawn(deaf).await?;
            bodies_run(1).await;
            // Never dropped.
            Box::leak(Box::new(pool));
        }
        "leaves a closure that blocks, and its warning never returns" => {
            let pool = Pool::new(1);
            pool.spawn_blocking("holds", |_| -> anyhow::Result<()> {
                body_runs();
                block()
            })
            .await?;
            bodies_run(1).await;
            Box::leak(Box::new(pool));
        }
        "has a deaf task and many failures" => {
            let (group, pool) = (Group::new(&token), Pool::new(12));
            group.spawn(deaf).await;
            for _ in 0..12 {
                let stopping = Stopping(token.clone());
                pool.spawn(|token| fails_late(token, stopping)).await?;
            }
            bodies_run(13).await;
            say("READY");
            group.join().await?;
        }
        other => anyhow::bail!("no such body: {other}"),
    }
    Ok(())
}

/// `INFO message=… signal=SIGTERM grace=1s`: the message is the first field.
pub(crate) struct Lines;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target() == "tokio_supervised" && *of.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        say(&line.0);
        if *event.metadata().level() == Level::WARN
            && wanted().ends_with("its warning never returns")
        {
            block();
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn new_span(&self, of: &Attributes<'_>) -> Id {
        if wanted() == "has a deaf task, and shows spans" {
            let mut line = Line("SPAN".to_owned());
            of.record(&mut line);
            say(&line.0);
        }
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
