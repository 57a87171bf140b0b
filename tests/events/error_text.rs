//! The text of an error in the log, by the traits that its type implements: `Error`, `Display`, `Debug` or none.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    future::pending,
    io,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use tokio_supervised::{
    CancellationToken, Group, Outcome, Pool, TaskError, map, stats, supervised, task,
};

use crate::listen;
use testkit::{in_time, poll_once, turn};

/// Only `Display`. The alternate form prints more, as that of `anyhow` does.
struct Displayed(Cow<'static, str>);

impl fmt::Display for Displayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        if f.alternate() { f.write_str(": in full") } else { Ok(()) }
    }
}

impl From<TaskError> for Displayed {
    fn from(error: TaskError) -> Self {
        Self(error.to_string().into())
    }
}

/// Only `Debug`.
#[derive(Debug)]
struct Debugged(#[allow(dead_code, reason = "read by `Debug` only")] Cow<'static, str>);

impl From<TaskError> for Debugged {
    fn from(error: TaskError) -> Self {
        Self(error.to_string().into())
    }
}

/// Neither.
struct Mute;

impl From<TaskError> for Mute {
    fn from(_: TaskError) -> Self {
        Self
    }
}

/// Borrows, and is an `Error` with a source.
#[derive(Debug)]
struct Borrowing<'a>(#[allow(dead_code, reason = "only borrowed")] &'a str, io::Error);

impl fmt::Display for Borrowing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "saving {}", self.0)
    }
}

impl Error for Borrowing<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.1)
    }
}

impl From<TaskError> for Borrowing<'_> {
    fn from(error: TaskError) -> Self {
        Self("nothing", error.into())
    }
}

/// Borrows, and has only `Debug`.
#[derive(Debug)]
struct BorrowedDebug<'a>(#[allow(dead_code, reason = "read by `Debug` only")] &'a str);

impl From<TaskError> for BorrowedDebug<'_> {
    fn from(_: TaskError) -> Self {
        Self("nothing")
    }
}

/// An `Error` whose `Display` leaves its source out.
#[derive(Debug, thiserror::Error)]
enum Saving {
    #[error("saving")]
    Failed(#[source] io::Error),
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Converted from another error, with another text.
struct Renamed;

impl fmt::Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("renamed")
    }
}

impl From<Saving> for Renamed {
    fn from(_: Saving) -> Self {
        Self
    }
}

fn disk() -> io::Error {
    io::Error::other("the disk is full")
}

/// The texts of the events that have an outcome.
macro_rules! texts_while {
    ($code:expr) => {{
        let events = listen();
        $code;
        let events = events.lock().unwrap();
        events
            .iter()
            .filter(|event| event.fields.contains_key("outcome"))
            .map(|event| event.fields.get("error").cloned())
            .collect::<Vec<_>>()
    }};
}

/// A function that fails with `$error`, and the texts of its one restart.
macro_rules! restart_texts {
    ($name:literal, $ty:ty, $error:expr) => {{
        #[supervised(name = $name, restart = "on-failure", backoff = "1s..1s", max_restarts = "1/1m")]
        async fn fails() -> Result<(), $ty> {
            Err($error)
        }
        let mut texts = texts_while!(_ = fails(&CancellationToken::new()).await);
        assert_eq!(texts.pop(), Some(None), "the call stops restarting, and its caller has the error");
        texts
    }};
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_restart_logs_the_printable_text_of_an_error() {
    let texts = restart_texts!("text: restart, display", Displayed, Displayed("by hand".into()));
    assert_eq!(texts, [some("by hand: in full")]);
    let texts = restart_texts!("text: restart, debug", Debugged, Debugged("a\nb".into()));
    assert_eq!(texts, [some(r#"Debugged("a\nb")"#)]);
    let texts = restart_texts!("text: restart, neither", Mute, Mute);
    assert_eq!(texts, [None]);
    let texts = restart_texts!("text: restart, error", Saving, Saving::Failed(disk()));
    assert_eq!(texts, [some("saving: the disk is full")]);
    type Boxed = Box<dyn Error + Send + Sync>;
    let texts = restart_texts!("text: restart, boxed", Boxed, disk().into());
    assert_eq!(texts, [some("the disk is full")]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_borrows_is_logged() {
    let texts = restart_texts!("text: borrows", Borrowing<'static>, Borrowing("a file", disk()));
    assert_eq!(texts, [some("saving a file: the disk is full")]);
    let texts = restart_texts!("text: borrows, debug", BorrowedDebug<'static>, BorrowedDebug("x"));
    assert_eq!(texts, [some(r#"BorrowedDebug("x")"#)]);

    #[supervised(name = "text: lends", restart = "on-failure", max_restarts = "1/1m")]
    async fn lends<'a>(name: &'a str) -> Result<(), Borrowing<'a>> {
        Err(Borrowing(name, disk()))
    }
    let name = String::from("lent");
    let texts = texts_while!(_ = lends(&CancellationToken::new(), &name).await);
    assert_eq!(texts, [some("saving lent: the disk is full"), None]);

    #[supervised(name = "text: lent box", restart = "on-failure", max_restarts = "1/1m")]
    async fn boxed<'a>(name: &'a str) -> Result<(), Box<dyn Error + Send + Sync + 'a>> {
        Err(Box::new(Borrowing(name, disk())))
    }
    let texts = texts_while!(_ = boxed(&CancellationToken::new(), &name).await);
    assert_eq!(texts, [some("saving lent"), None], "its sources are not known");
}

#[tokio::test(start_paused = true)]
async fn a_static_lifetime_is_no_borrow() {
    type Found = Result<(), TaskError>;
    #[supervised(name = "text: static box")]
    async fn inner() -> Found {
        pending().await
    }
    #[supervised(name = "text: static outer")]
    async fn outer(
        token: &CancellationToken,
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(inner(token).await?)
    }

    let texts = restart_texts!(
        "text: static, error",
        Box<dyn Error + Send + Sync + 'static>,
        Saving::Failed(disk()).into()
    );
    assert_eq!(texts, [some("saving: the disk is full")]);
    let token = CancellationToken::new();
    token.cancel();
    outer(&token).await.unwrap_err();
    let stats = stats();
    let outer = stats.iter().find(|task| task.name == "text: static outer").unwrap();
    assert_eq!(outer.ended(Outcome::Cancelled), 1, "its sources are searched: {outer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_generic_error_is_printed_by_its_bound() {
    #[supervised(name = "text: generic", restart = "on-failure", max_restarts = "1/1m")]
    async fn fails<E: From<TaskError> + fmt::Debug>(error: fn() -> E) -> Result<(), E> {
        Err(error())
    }
    let texts =
        texts_while!({ _ = fails(&CancellationToken::new(), || Debugged("generic".into())).await });
    assert_eq!(texts, [some(r#"Debugged("generic")"#), None]);
}

#[tokio::test(start_paused = true)]
async fn a_group_logs_the_printable_text_of_an_error() {
    #[supervised(name = "text: group, display")]
    async fn displayed() -> Result<(), Displayed> {
        Err(Displayed("by hand".into()))
    }
    #[supervised(name = "text: group, debug")]
    async fn debugged() -> Result<(), Debugged> {
        Err(Debugged("debug".into()))
    }
    #[supervised(name = "text: group, neither")]
    async fn mute() -> Result<(), Mute> {
        Err(Mute)
    }
    /// Drops a group in which a task has failed.
    macro_rules! dropped {
        ($task:expr) => {
            texts_while!({
                let group = Group::new(&CancellationToken::new());
                group.spawn($task).await;
                turn().await;
                drop(group);
            })
        };
    }

    assert_eq!(dropped!(displayed), [some("by hand: in full")]);
    assert_eq!(dropped!(debugged), [some(r#"Debugged("debug")"#)]);
    assert_eq!(dropped!(mute), [None]);
    let foreign = task!("text: group, typed", |_| -> Result<(), Displayed> {
        Err(Displayed("typed".into()))
    });
    assert_eq!(dropped!(foreign), [some("typed: in full")]);
}

#[tokio::test(start_paused = true)]
async fn a_map_logs_the_printable_text_of_an_error() {
    /// The first item waits for its token, which the failure of the second cancels.
    #[supervised(name = "text: map", on_cancel = "cooperate", grace = "1s")]
    async fn fails(token: &CancellationToken, first: bool) -> Result<(), Debugged> {
        if first {
            token.cancelled().await;
        }
        Err(Debugged("map".into()))
    }

    let texts = texts_while!({
        let token = CancellationToken::new();
        in_time(map(&token, [true, false], fails).limit(2)).await.unwrap_err();
    });
    assert_eq!(texts, [some(r#"Debugged("map")"#)]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_logs_the_printable_text_of_an_error() {
    #[supervised(name = "text: pool, display")]
    async fn displayed() -> Result<(), Displayed> {
        Err(Displayed("by hand".into()))
    }
    #[supervised(name = "text: pool, error")]
    async fn saves() -> Result<(), Saving> {
        Err(Saving::Failed(disk()))
    }
    #[supervised(name = "text: pool, anyhow")]
    async fn contexts() -> anyhow::Result<()> {
        Err(anyhow::Error::new(disk()).context("saving"))
    }
    macro_rules! of_a_pool {
        ($task:expr) => {
            texts_while!({
                let pool = Pool::new(1);
                pool.spawn($task).await.unwrap();
                in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
            })
        };
    }

    assert_eq!(of_a_pool!(displayed), [some("by hand: in full")]);
    assert_eq!(of_a_pool!(saves), [some("saving: the disk is full")]);
    assert_eq!(of_a_pool!(contexts), [some("saving: the disk is full")]);
    // A conversion decides how its error prints.
    assert_eq!(of_a_pool!(|token| saves(token).err_into::<Renamed>()), [some("renamed")]);
    assert_eq!(
        of_a_pool!(|token| saves(token).err_into::<anyhow::Error>()),
        [some("saving: the disk is full")]
    );
    let foreign =
        task!("text: pool, foreign", |_| async { Err::<(), _>(Displayed("foreign".into())) });
    assert_eq!(of_a_pool!(foreign), [some("foreign: in full")]);
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut() {
    const MOST: usize = 4_096;
    fn long() -> Cow<'static, str> {
        "é".repeat(10_000).into()
    }
    let texts = restart_texts!("text: long, display", Displayed, Displayed(long()));
    assert_eq!(texts, [Some("é".repeat(MOST / 2))]);
    let texts = restart_texts!("text: long, debug", Debugged, Debugged(long()));
    assert_eq!(texts[0].as_ref().map(String::len), Some(MOST));

    #[supervised(name = "text: long, pool")]
    async fn displayed() -> Result<(), Displayed> {
        Err(Displayed(long()))
    }
    let texts = texts_while!({
        let pool = Pool::new(2);
        pool.spawn(displayed).await.unwrap();
        let foreign = task!("text: long, foreign", |_| async { Err::<(), _>(Displayed(long())) });
        pool.spawn(foreign).await.unwrap();
        in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    });
    assert_eq!(texts, [Some("é".repeat(MOST / 2)), Some("é".repeat(MOST / 2))]);
}

static FORMATTED: AtomicU32 = AtomicU32::new(0);

/// Panics when it is formatted.
struct Fragile;

impl fmt::Debug for Fragile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        FORMATTED.fetch_add(1, Relaxed);
        panic!("it was formatted")
    }
}

impl From<TaskError> for Fragile {
    fn from(_: TaskError) -> Self {
        Self
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_an_error_is_printed_is_logged() {
    #[supervised(name = "text: fragile")]
    async fn fails() -> Result<(), Fragile> {
        Err(Fragile)
    }

    let events = listen();
    let group = Group::new(&CancellationToken::new());
    group.spawn(fails).await;
    turn().await;
    drop(group);
    // An error that the caller receives is not printed.
    assert!(poll_once(pin!(fails(&CancellationToken::new()))).is_ready());
    assert_eq!(FORMATTED.load(Relaxed), 1);
    let events = events.lock().unwrap();
    let [panic, failure] = &events[..] else { panic!("two events: {events:#?}") };
    assert_eq!(panic.fields["exception.message"], "it was formatted");
    assert_eq!(panic.name(), "text: fragile");
    assert_eq!(failure.fields["outcome"], "error");
    assert_eq!(failure.fields["error"], "(its `Debug` panicked)");
}
