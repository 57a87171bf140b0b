//! Tests of the module's invariants.
//!
//! All on one thread and on paused time: the clock advances only when no task can run, so a `timeout` marks the moment
//! at which nothing moves any more. Each test also fails if it leaks a task.

#![expect(
    clippy::disallowed_methods,
    reason = "a test drives the pipeline from outside, with its own tasks"
)]

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{
        AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadBuf,
        duplex, sink,
    },
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_supervised::{CancellationToken, TaskError, supervised};

use super::{CAPACITY, LONGEST, PipelineError, Progress, run};
use crate::inlet::{AllStarted, channel};

/// Waits until nothing moves any more, or the future is ready.
async fn until_idle<F: Future>(future: F) -> Option<F::Output> {
    timeout(Duration::from_millis(1), future).await.ok()
}

/// A table of `count` good lines.
fn table(lines: u64) -> String {
    (0..lines).map(|n| format!("key {n}\tvalue {n}\n")).collect()
}

/// A running pipeline, in a separate task, which is not a stage.
struct Pipeline {
    token: CancellationToken,
    progress: Arc<Progress>,
    running: JoinHandle<Result<(), PipelineError>>,
}

impl Pipeline {
    fn start(
        from: impl AsyncRead + Send + Unpin + 'static,
        to: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (token, progress) = (CancellationToken::new(), Arc::new(Progress::default()));
        let (stops, counts) = (token.clone(), progress.clone());
        let running =
            tokio::spawn(async move { run(&stops, BufReader::new(from), to, &counts).await });
        Self { token, progress, running }
    }

    async fn end(self) -> (Result<(), PipelineError>, u64, u64) {
        let longest = Duration::from_secs(3600);
        let result = timeout(longest, self.running).await.expect("it ends").unwrap();
        (result, self.progress.read(), self.progress.written())
    }
}

async fn all_of(mut from: DuplexStream) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).await.unwrap();
    text
}

fn is_cancelled<T>(result: &Result<T, PipelineError>) -> bool {
    matches!(result, Err(PipelineError::Task(TaskError::Cancelled(_))))
}

#[supervised::test(start_paused = true)]
async fn lines_leave_in_order_with_their_checksums() {
    let (to, from) = duplex(1 << 20);
    let text = "a\t123456789\nb\t\nc\tx\ty\nno line end\t1";
    let pipeline = Pipeline::start(text.as_bytes(), to);
    let (result, read, written) = pipeline.end().await;
    result.unwrap();
    assert_eq!((read, written), (4, 4));
    // The check value that every description of CRC-32 gives, and two of zlib's `crc32`.
    let expected = [
        "a\tcbf43926\t123456789",
        "b\t00000000\t",
        "c\t5db8922b\tx\ty",
        "no line end\t83dcefb7\t1",
    ];
    let got = all_of(from).await;
    assert_eq!(got.lines().collect::<Vec<_>>(), expected);
}

#[supervised::test(start_paused = true)]
async fn a_bad_line_is_the_error_and_all_lines_before_it_are_written() {
    for before in [0, 1, 2, 63, 64, 65, 1_000] {
        for (bad, reason) in [("no tab", "no tab between"), ("\tvalue", "the key is empty")] {
            let (to, from) = duplex(1 << 20);
            let text = table(before) + bad + "\n" + &table(1_000);
            let pipeline = Pipeline::start(io::Cursor::new(text), to);
            let (result, _, written) = pipeline.end().await;
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {}: {reason}", before + 1)), "{error}");
            assert_eq!((written, all_of(from).await.lines().count() as u64), (before, before));
        }
    }
}

#[supervised::test(start_paused = true)]
async fn an_endless_line_is_refused_before_it_fills_the_memory() {
    let text = table(3) + &"x".repeat(LONGEST + 1);
    let (result, read, written) = Pipeline::start(io::Cursor::new(text), sink()).end().await;
    assert_eq!(result.unwrap_err().to_string(), "line 4: longer than 1 MiB");
    assert_eq!((read, written), (3, 3));
    let longest = "k\t".to_owned() + &"x".repeat(LONGEST - 2) + "\n";
    Pipeline::start(io::Cursor::new(longest), sink()).end().await.0.unwrap();
}

/// Fails, or panics, at its first use.
enum Broken {
    Fails,
    Panics,
}

impl Broken {
    fn broken<T>(&self) -> Poll<io::Result<T>> {
        match self {
            Self::Fails => Poll::Ready(Err(io::Error::other("no space left"))),
            Self::Panics => panic!("a bug"),
        }
    }
}

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.broken()
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        self.broken()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.broken()
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.broken()
    }
}

#[supervised::test(start_paused = true)]
async fn a_failing_writer_is_the_error_and_stops_an_endless_input() {
    let (mut input, from) = duplex(1024);
    let pipeline = Pipeline::start(from, Broken::Fails);
    input.write_all(table(1).as_bytes()).await.unwrap();
    let (result, _, written) = pipeline.end().await;
    assert!(matches!(result, Err(PipelineError::Write(_))), "{result:?}");
    assert_eq!(written, 0);
}

#[supervised::test(start_paused = true)]
async fn a_failing_reader_is_the_error_and_earlier_lines_are_written() {
    let text = io::Cursor::new(table(100));
    let (result, read, written) = Pipeline::start(text.chain(Broken::Fails), sink()).end().await;
    assert!(matches!(result, Err(PipelineError::Read(_))), "{result:?}");
    assert_eq!((read, written), (100, 100));
}

#[supervised::test(start_paused = true)]
async fn a_stage_that_panics_is_the_error_and_stops_the_others() {
    let text = io::Cursor::new(table(100));
    let (result, read, written) = Pipeline::start(text.chain(Broken::Panics), sink()).end().await;
    let Err(PipelineError::Task(TaskError::Panicked(panic))) = result else {
        panic!("a panic: {result:?}")
    };
    assert_eq!((panic.task(), panic.message()), ("next line", "a bug"));
    assert_eq!((read, written), (100, 100));
}

/// An output that takes a few bytes and then nothing, and a table for it that never ends.
async fn stalled() -> (Pipeline, DuplexStream, JoinHandle<()>) {
    let (mut input, from) = duplex(1024);
    let (to, output) = duplex(4096);
    let pipeline = Pipeline::start(from, to);
    // Longer than the buffer of the writer, so that nothing waits there.
    let line = "key\t".to_owned() + &"x".repeat(16 * 1024) + "\n";
    let feeding =
        tokio::spawn(async move { while input.write_all(line.as_bytes()).await.is_ok() {} });
    assert!(until_idle(std::future::pending::<()>()).await.is_none());
    (pipeline, output, feeding)
}

#[supervised::test(start_paused = true)]
async fn a_slow_writer_holds_the_source() {
    let (pipeline, output, feeding) = stalled().await;
    let bound = 3 * CAPACITY as u64 + 4;
    assert_eq!(pipeline.progress.read(), bound, "full channels, and a line in the hands of each");
    drop((pipeline.token.drop_guard(), output));
    feeding.await.unwrap();
    assert!(pipeline.running.await.unwrap().is_err());
}

#[supervised::test(start_paused = true, allow(detached_spawn))]
async fn the_token_stops_the_source_and_the_channels_are_drained() {
    let (pipeline, output, feeding) = stalled().await;
    pipeline.token.cancel();
    let reading = tokio::spawn(all_of(output));
    let started = Instant::now();
    feeding.await.unwrap();
    let text = reading.await.unwrap();
    let (result, read, written) = pipeline.end().await;
    assert!(is_cancelled(&result), "{result:?}");
    assert_eq!(read, 3 * CAPACITY as u64 + 4);
    assert_eq!((written, text.lines().count() as u64), (read, read));
    assert!(text.ends_with('\n'), "no half line");
    assert!(started.elapsed() < Duration::from_secs(1), "the grace was not awaited");
}

#[supervised::test(start_paused = true)]
async fn a_blocked_output_takes_no_longer_than_the_grace() {
    let (pipeline, output, feeding) = stalled().await;
    pipeline.token.cancel();
    let started = Instant::now();
    feeding.await.unwrap();
    let (result, _, written) = pipeline.end().await;
    assert!(is_cancelled(&result), "{result:?}");
    assert_eq!(written, 0);
    let took = started.elapsed();
    assert!((5_000..5_010).contains(&took.as_millis()), "{took:?}");
    drop(output);
}

#[supervised::test(start_paused = true)]
async fn a_read_that_waits_for_a_line_stops_at_once() {
    let (mut input, from) = duplex(1024);
    let (to, mut output) = duplex(1024);
    let pipeline = Pipeline::start(from, to);
    input.write_all(b"key\tvalue\nhalf a li").await.unwrap();
    let mut line = [0; "key\t1d775834\tvalue\n".len()];
    output.read_exact(&mut line).await.unwrap();
    let started = Instant::now();
    pipeline.token.cancel();
    let (result, read, written) = pipeline.end().await;
    assert!(is_cancelled(&result), "{result:?}");
    assert_eq!((read, written, started.elapsed()), (1, 1, Duration::ZERO));
    assert_eq!(all_of(output).await, "");
}

#[supervised::test(start_paused = true)]
async fn nothing_is_read_after_the_token_has_fired() {
    let (token, progress) = (CancellationToken::new(), Arc::default());
    token.cancel();
    let result = run(&token, BufReader::new(Broken::Panics), sink(), &progress).await;
    assert!(is_cancelled(&result), "{result:?}");
}

#[supervised::test(start_paused = true)]
async fn the_source_waits_until_every_stage_has_started_or_ended() {
    let (starting, all_started) = AllStarted::new();
    let (_first, opened) = channel::<()>(1, &starting);
    let (_second, dropped) = channel::<()>(1, &starting);
    drop(starting);
    let mut waiting = Box::pin(all_started.wait());
    assert!(until_idle(&mut waiting).await.is_none());
    let _open = opened.open();
    assert!(until_idle(&mut waiting).await.is_none());
    drop(dropped);
    assert!(until_idle(&mut waiting).await.is_some());
}
