//! A stream that fails if its reader stops reading.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// The longest time in which a reader reads nothing.
const STALL: Duration = Duration::from_secs(5);

/// The longest time to send everything that is ready, even at a steady pace: 1 MB in that time is 0.3 Mbit/s.
const TOTAL: Duration = Duration::from_secs(30);

/// Fails with `TimedOut` if the reader reads nothing for [`STALL`], or not everything within [`TOTAL`].
///
/// A completed flush means that everything was taken: hyper flushes the stream when its own buffer is empty.
pub(crate) struct WriteTimeout<S> {
    stream: S,
    /// When the reader stopped reading.
    stalled: Option<Instant>,
    /// When data was first not sent at once.
    behind: Option<Instant>,
    /// Created when a write first waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, stalled: None, behind: None, timer: None }
    }

    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let now = Instant::now();
        let stalled = *self.stalled.get_or_insert(now);
        let behind = *self.behind.get_or_insert(now);
        let deadline = (stalled + STALL).min(behind + TOTAL);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.behind = None;
        }
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, shut_down)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::{Instant, sleep},
    };

    use super::*;

    const BUFFER: usize = 64;

    #[track_caller]
    fn assert_timed_out(error: &io::Error, took: Duration, limit: Duration) {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((limit..limit + Duration::from_millis(10)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_nothing_is_dropped_after_the_stall() {
        let (stream, _reader) = duplex(BUFFER);
        let started = Instant::now();
        let error = WriteTimeout::new(stream).write_all(&[0; 2 * BUFFER]).await.unwrap_err();
        assert_timed_out(&error, started.elapsed(), STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_dropped_after_the_total() {
        let (stream, mut reader) = duplex(BUFFER);
        let trickle = async {
            loop {
                sleep(STALL / 2).await;
                reader.read_u8().await.unwrap();
            }
        };
        let started = Instant::now();
        let mut stream = WriteTimeout::new(stream);
        let error = tokio::select! {
            written = stream.write_all(&[0; 4 * BUFFER]) => written.unwrap_err(),
            never = trickle => never,
        };
        assert_timed_out(&error, started.elapsed(), TOTAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_catches_up_is_never_dropped() {
        let (stream, mut reader) = duplex(BUFFER);
        let reads = async {
            loop {
                sleep(STALL / 2).await;
                reader.read_exact(&mut [0; BUFFER]).await.unwrap();
            }
        };
        let writes = async {
            let mut stream = WriteTimeout::new(stream);
            let started = Instant::now();
            while started.elapsed() < 3 * TOTAL {
                stream.write_all(&[0; BUFFER]).await.unwrap();
                stream.flush().await.unwrap();
            }
        };
        tokio::select! {
            () = writes => {}
            never = reads => never,
        }
    }
}
