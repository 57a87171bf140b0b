//! Watchdogs, child processes and other helpers of the tests.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

/// Longer than any test takes, however busy the machine.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs `body` on another thread and fails if it does not finish: a loop that is always ready starves every timer
/// of its runtime.
#[track_caller]
pub(crate) fn finishes<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    match outcome(body) {
        Ok(result) => result,
        Err(failure) => panic!("the body {failure}"),
    }
}

/// The same, but returns the failure: `body` did not finish, or the message of its panic.
pub(crate) fn outcome<R: Send + 'static>(
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<R, String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || _ = send.send(catch_unwind(AssertUnwindSafe(body))));
    match receive.recv_timeout(WATCHDOG) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(payload)) => Err(format!("panicked: {}", message(payload))),
        Err(RecvTimeoutError::Timeout) => Err(format!("does not finish in {WATCHDOG:?}")),
        Err(RecvTimeoutError::Disconnected) => {
            Err("panicked while a panic's payload was dropped".into())
        }
    }
}

fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "with a payload that is no text (a body's `resume_unwind` escaped)".into(),
        },
    };
    // A payload may have a destructor that panics.
    _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    text
}

/// Runs an ignored test of this target, given by its full path (`"chains::fixture_deep_nest"`), in a separate
/// process. The process is killed after `WATCHDOG`.
pub(crate) fn child(fixture: &str) -> Output {
    child_with(fixture, "0")
}

/// The same with a value of `RUST_BACKTRACE`.
pub(crate) fn child_with(fixture: &str, backtrace: &str) -> Output {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", fixture, "--ignored", "--nocapture", "--test-threads", "1"])
        .env("RUST_BACKTRACE", backtrace)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let (ended, is_ended) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if is_ended.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            _ = kill(pid, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    watchdog.join().unwrap();
    output
}

/// The same; the fixture must pass. Returns its output.
#[track_caller]
pub(crate) fn child_passes(fixture: &str) -> String {
    passed(fixture, &child(fixture))
}

/// The output of a fixture, which must have passed.
#[track_caller]
pub(crate) fn passed(fixture: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {stdout}\n{stderr}", output.status);
    assert!(stdout.contains("1 passed"), "no fixture `{fixture}`: {stdout}");
    stdout
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Event {
    pub(crate) fn field(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }
}

pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

/// Captures the events of this process above `DEBUG`.
pub(crate) fn listen() -> Events {
    let events = Events::default();
    let subscriber = tracing_subscriber::registry().with(Capture(events.clone()));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    events
}

struct Capture(Events);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "tokio_supervised" || *metadata.level() > Level::INFO {
            return;
        }
        let mut captured = Event { level: *metadata.level(), fields: BTreeMap::new() };
        event.record(&mut captured);
        self.0.lock().unwrap().push(captured);
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

/// Waits for the event that counts the unlogged failures, and returns it. Fails unless ten were logged and all
/// others counted once.
#[track_caller]
pub(crate) fn assert_ten_logged(mut logged: impl FnMut() -> Vec<Event>, others: usize) -> Event {
    let is_count = |event: &Event| event.fields.contains_key("failures");
    let mut events = logged();
    while !events.iter().any(is_count) {
        thread::yield_now();
        events.extend(logged());
    }
    let (mut counts, alone): (Vec<_>, Vec<_>) = events.into_iter().partition(is_count);
    let counted: Vec<_> = counts.iter().map(|event| event.field("failures")).collect();
    assert_eq!((alone.len(), counted), (10, vec![others.to_string()]), "{alone:#?}, {counts:#?}");
    counts.remove(0)
}

mod tests {
    use super::*;

    #[test]
    fn a_fixture_that_fails_fails_its_test() {
        assert!(!child("support::tests::fixture_fails").status.success());
    }

    #[test]
    fn a_fixture_that_passes_is_found() {
        child_passes("support::tests::fixture_passes");
    }

    #[test]
    #[ignore = "fixture of another test"]
    fn fixture_fails() {
        panic!("it fails");
    }

    #[test]
    #[ignore = "fixture of another test"]
    fn fixture_passes() {}
}
