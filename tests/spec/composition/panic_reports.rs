//! Panics and errors are reported once, with their names and causes.

use std::{
    backtrace::BacktraceStatus,
    collections::BTreeMap,
    error::Error,
    fmt::Debug,
    future::pending,
    panic,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use tokio_supervised::{CancellationToken, TaskError, is_cancelled, supervised};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use testkit::{
    finishes,
    fixture::{child_with, passed},
    watchdog::WATCHDOG,
};

#[supervised(name = "panic reports: breaks")]
async fn breaks() -> Result<(), TaskError> {
    panic!("boom")
}

#[supervised]
async fn works() -> Result<(), TaskError> {
    Ok(())
}

fn run_once() -> TaskError {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(breaks(&CancellationToken::new())).unwrap_err()
}

#[test]
fn a_run_does_not_wait_for_a_panic_hook_that_blocks() {
    let fixture = "composition::panic_reports::fixture_hook_blocks";
    passed(fixture, &child_with(fixture, "0"));
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_hook_blocks() {
    let (entered, has_entered) = channel();
    let (release, released) = channel::<()>();
    let blocked = Mutex::new((entered, released));
    panic::set_hook(Box::new(move |_| {
        if thread::current().name() == Some("blocked") {
            let blocked = blocked.lock().unwrap();
            blocked.0.send(()).unwrap();
            _ = blocked.1.recv();
        }
    }));
    let blocked = thread::Builder::new()
        .name("blocked".to_owned())
        .spawn(|| panic!("a panic outside of any run"))
        .unwrap();
    has_entered.recv_timeout(WATCHDOG).unwrap();

    finishes(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(works(&CancellationToken::new())).unwrap();
    });

    drop(release);
    blocked.join().unwrap_err();
    finishes(|| {
        // The hook is installed by a thread that waits until the other hook returns.
        while !matches!(run_once(), TaskError::Panicked(panic) if panic.location().is_some()) {
            thread::yield_now();
        }
    });
}

#[test]
fn a_backtrace_is_logged_after_its_panic_off_the_worker() {
    let fixture = "composition::panic_reports::fixture_backtrace_is_logged";
    passed(fixture, &child_with(fixture, "1"));
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_backtrace_is_logged() {
    let events = listen();
    run_once();
    let panicked = events.recv_timeout(WATCHDOG).unwrap();
    assert_eq!((panicked.level, panicked.thread), (Level::ERROR, thread::current().id()));
    assert_eq!(panicked.fields["exception.message"], "boom");
    assert!(!panicked.fields.contains_key("exception.stacktrace"));

    let backtrace = events.recv_timeout(WATCHDOG).unwrap();
    assert_eq!(backtrace.level, Level::INFO);
    assert_ne!(backtrace.thread, panicked.thread);
    assert_eq!(backtrace.fields["task.name"], "panic reports: breaks");
    assert!(backtrace.fields["exception.stacktrace"].contains("breaks"));
    assert_eq!(backtrace.fields["code.line.number"], panicked.fields["code.line.number"]);
}

#[test]
fn a_panic_does_not_wait_for_the_backtrace_of_another() {
    let fixture = "composition::panic_reports::fixture_symbolising";
    passed(fixture, &child_with(fixture, "1"));
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_symbolising() {
    // The default hook symbolises on the panicking thread.
    panic::set_hook(Box::new(|_| {}));
    let events = listen();
    assert!(is_captured(&run_once()));
    let mut without = 0;
    while !events.try_iter().any(|event| event.level == Level::INFO) {
        without += u32::from(!is_captured(&run_once()));
    }
    assert!(without > 0, "each panic waited until the first backtrace was symbolised");
    finishes(|| while !is_captured(&run_once()) {});
}

fn is_captured(error: &TaskError) -> bool {
    let TaskError::Panicked(panic) = error else { panic!("not a panic: {error}") };
    panic.backtrace().unwrap().status() == BacktraceStatus::Captured
}

#[test]
fn rust_backtrace_0_turns_the_backtrace_event_off() {
    let fixture = "composition::panic_reports::fixture_no_backtrace";
    passed(fixture, &child_with(fixture, "0"));
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_no_backtrace() {
    let events = listen();
    for _ in 0..3 {
        run_once();
        let event = events.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(event.level, Level::ERROR, "{:?}", event.fields);
    }
    assert!(!has_thread("supervised-back"), "no thread is started for backtraces");
}

#[derive(Debug, thiserror::Error)]
enum App {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("the app failed")]
    Because(#[source] TaskError),
}

/// Every link of the chain, the outermost first.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut links = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        links.push(error.to_string());
        next = error.source();
    }
    links
}

async fn failures() -> [TaskError; 4] {
    #[supervised(name = "panic reports: late", timeout = "1ms", limit = 1, on_full = "reject")]
    async fn late() -> Result<(), TaskError> {
        pending().await
    }
    let (token, fired) = (CancellationToken::new(), CancellationToken::new());
    fired.cancel();
    let cancelled = late(&fired).await.unwrap_err();
    let (timed_out, rejected) = tokio::join!(late(&token), late(&token));
    [breaks(&token).await.unwrap_err(), cancelled, timed_out.unwrap_err(), rejected.unwrap_err()]
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_sources_repeats_nothing() {
    for error in failures().await {
        let said = error.to_string();
        let links = chain(&error);
        assert_eq!(links.len(), 2, "{links:?}");
        assert!(links[1].starts_with("the function is defined at "), "{links:?}");
        for (at, link) in links.iter().enumerate() {
            assert!(links[..at].iter().all(|before| !before.contains(&**link)), "{links:?}");
            assert!(links[..at].iter().all(|before| !link.contains(&**before)), "{links:?}");
        }
        let report = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(report.matches(&said).count(), 1, "{report}");
    }
    for error in failures().await {
        let links = chain(&std::io::Error::from(error));
        assert_eq!(links.len(), 2, "{links:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_is_found_inside_wrapping_errors() {
    for (at, error) in failures().await.into_iter().enumerate() {
        assert_eq!(is_cancelled(&error), at == 1, "{error}");
        assert_eq!(is_cancelled(&App::Task(error)), at == 1);
    }
    for (at, error) in failures().await.into_iter().enumerate() {
        assert_eq!(is_cancelled(&App::Because(error)), at == 1);
    }
    for (at, error) in failures().await.into_iter().enumerate() {
        assert_eq!(is_cancelled(&std::io::Error::other(App::Task(error))), at == 1);
    }
}

/// Whether this process has a thread whose name starts with `name`; the system keeps 15 bytes of a name.
fn has_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.into_iter().any(|thread| {
        let name_of = std::fs::read_to_string(thread.unwrap().path().join("comm"));
        name_of.is_ok_and(|name_of| name_of.starts_with(name))
    })
}

#[derive(Debug)]
struct Event {
    level: Level,
    thread: thread::ThreadId,
    fields: BTreeMap<&'static str, String>,
}

/// Captures all events of the crate from now on, for a separate process.
fn listen() -> Receiver<Event> {
    let (send, receive) = channel();
    let subscriber = tracing_subscriber::registry().with(Capture(Arc::new(Mutex::new(send))));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    receive
}

struct Capture(Arc<Mutex<Sender<Event>>>);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tokio_supervised" {
            let (level, thread) = (*event.metadata().level(), thread::current().id());
            let mut captured = Event { level, thread, fields: BTreeMap::new() };
            event.record(&mut captured);
            _ = self.0.lock().unwrap().send(captured);
        }
    }
}

impl Visit for Event {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}
