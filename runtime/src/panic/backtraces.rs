//! Logs the backtraces of panics on a dedicated thread: symbolising the first one of a process takes 150 ms.
//!
//! Invariants
//!
//! 1. No worker symbolises a backtrace, or waits for this thread for more than 5 ms: a panic would delay every task of its
//!    worker. (`hook.rs`) A panic does wait for code outside this thread that displays a backtrace: `std` has one lock.
//! 2. At most [`WAITING`] backtraces wait. Further ones are counted, as are panics that could not capture theirs, and
//!    the next event has their number.
//! 3. The panic's own event does not depend on this thread: it is logged by the code that caught the panic, before
//!    the caller of the run continues.
//!
//! `tests/events/main.rs` checks 1 and 3, the tests below 2.

use std::{
    backtrace::BacktraceStatus,
    env,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use tracing::{Dispatch, Level, dispatcher, field};

use crate::{
    error::Panic,
    panic::{Site, hook},
    telemetry::span::{TaskSpan, call_subscriber},
};

/// A backtrace that has not been symbolised takes some kilobytes.
const WAITING: usize = 256;

/// How long the thread waits before it symbolises the first backtrace of the process, which takes long. Panics come in
/// bursts, and those that come meanwhile cannot capture theirs.
const BURST: Duration = Duration::from_millis(20);

enum Job {
    Log(Box<QueuedBacktrace>),
    /// A reply channel, dropped when all earlier backtraces are logged.
    Flush(mpsc::Sender<()>),
}

struct QueuedBacktrace {
    task: &'static str,
    id: Option<tokio::task::Id>,
    site: Arc<Site>,
    span: TaskSpan,
    subscriber: Dispatch,
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

struct Queue {
    // `None` if the thread could not be started.
    jobs: Option<SyncSender<Job>>,
    skipped: AtomicUsize,
}

/// Logs the backtrace of a panic soon, at `INFO`, unless `RUST_BACKTRACE` (or `RUST_LIB_BACKTRACE`) is `0`.
pub(crate) fn log(panic: &Panic) {
    let Some(site) = panic.site() else { return };
    if !are_wanted() {
        return;
    }
    // Both call the subscriber.
    let entry = call_subscriber(|| {
        tracing::enabled!(target: "tokio_supervised", Level::INFO).then(|| QueuedBacktrace {
            task: panic.task(),
            id: tokio::task::try_id(),
            site,
            span: TaskSpan::current(),
            subscriber: dispatcher::get_default(Dispatch::clone),
        })
    });
    let Some(entry) = entry.flatten() else { return };
    let queue = QUEUE.get_or_init(Queue::start);
    if entry.site.backtrace.status() == BacktraceStatus::Captured {
        queue.push(entry);
    } else {
        queue.skip(entry);
    }
}

/// Whether a backtrace was ever to be logged.
pub(crate) fn are_in_use() -> bool {
    QUEUE.get().is_some()
}

/// Waits until all backtraces are logged, however long that takes.
pub(crate) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush();
    }
}

/// As `std::backtrace::Backtrace::capture` decides, except that unset variables mean yes.
fn are_wanted() -> bool {
    static WANTED: OnceLock<bool> = OnceLock::new();
    *WANTED.get_or_init(|| {
        let set = env::var_os("RUST_LIB_BACKTRACE").or_else(|| env::var_os("RUST_BACKTRACE"));
        set.is_none_or(|set| set != "0")
    })
}

impl Queue {
    fn start() -> Self {
        let (jobs, queued) = mpsc::sync_channel(WAITING);
        let spawned = thread::Builder::new()
            .name("supervised-backtraces".to_owned())
            .spawn(move || log_all(&queued));
        Self { jobs: spawned.is_ok().then_some(jobs), skipped: AtomicUsize::new(0) }
    }

    fn push(&self, entry: QueuedBacktrace) {
        let Some(jobs) = &self.jobs else { return };
        if let Err(refused) = jobs.try_send(Job::Log(Box::new(entry))) {
            self.skip(refused);
        }
    }

    fn skip(&self, refused: impl Sized) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        // It holds a span and a subscriber, whose drops are foreign code.
        call_subscriber(|| drop(refused));
    }

    fn flush(&self) {
        let Some(jobs) = &self.jobs else { return };
        let (done, is_done) = mpsc::channel();
        if jobs.send(Job::Flush(done)).is_ok() {
            // Nothing is ever sent: the drop of the sender ends the wait.
            _ = is_done.recv();
        }
    }
}

fn log_all(queued: &Receiver<Job>) {
    #[expect(clippy::disallowed_methods, reason = "a dedicated thread")]
    thread::sleep(BURST);
    for job in queued {
        match job {
            Job::Log(entry) => {
                let skipped =
                    QUEUE.get().map_or(0, |queue| queue.skipped.swap(0, Ordering::Relaxed));
                call_subscriber(|| entry.log(skipped));
            }
            Job::Flush(done) => drop(done),
        }
    }
}

impl QueuedBacktrace {
    fn log(self, skipped: usize) {
        let Self { task, id, site, span, subscriber } = self;
        let location = &site.location;
        let backtrace = hook::symbolise(&site.backtrace);
        dispatcher::with_default(&subscriber, || {
            let _inside = span.enter();
            tracing::info!(
                target: "tokio_supervised",
                {
                    "task.name" = task,
                    "task.id" = id.map(field::display),
                    "exception.type" = "panic",
                    "exception.stacktrace" = %backtrace,
                    "code.file.path" = location.file(),
                    "code.line.number" = location.line(),
                    "skipped" = (skipped > 0).then_some(skipped),
                },
                "the backtrace of the panic of task `{task}` at {location}"
            );
        });
    }
}
