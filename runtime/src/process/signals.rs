//! The signals that ask a process to stop, on each platform.

use std::{
    future::poll_fn,
    io,
    process::ExitCode,
    task::{Context, Poll},
};

use crate::cause::Signal;

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{SignalKind, signal};

    use super::*;

    pub(crate) struct Sources {
        interrupt: tokio::signal::unix::Signal,
        terminate: tokio::signal::unix::Signal,
    }

    impl Sources {
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            // `None` never occurs, according to tokio's documentation.
            if let Poll::Ready(Some(())) = self.interrupt.poll_recv(cx) {
                return Poll::Ready(Signal::Interrupt);
            }
            if let Poll::Ready(Some(())) = self.terminate.poll_recv(cx) {
                return Poll::Ready(Signal::Terminate);
            }
            Poll::Pending
        }
    }

    /// Restores the default action, which tokio never does, and raises.
    ///
    /// The first process of a PID namespace, as in most containers, has no default action: the kernel
    /// discards the signal, and the abort that would follow looks like a crash.
    pub(crate) fn raise(signal: Signal) {
        if std::process::id() != 1 {
            _ = signal_hook::low_level::emulate_default_handler(signal.number());
        }
    }
}

#[cfg(windows)]
mod platform {
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
        ctrl_logoff, ctrl_shutdown,
    };

    use super::*;

    pub(crate) struct Sources {
        ctrl_c: CtrlC,
        ctrl_break: CtrlBreak,
        close: CtrlClose,
        logoff: CtrlLogoff,
        shutdown: CtrlShutdown,
    }

    impl Sources {
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self {
                ctrl_c: ctrl_c()?,
                ctrl_break: ctrl_break()?,
                close: ctrl_close()?,
                logoff: ctrl_logoff()?,
                shutdown: ctrl_shutdown()?,
            })
        }

        pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            if let Poll::Ready(Some(())) = self.ctrl_c.poll_recv(cx) {
                return Poll::Ready(Signal::Interrupt);
            }
            if let Poll::Ready(Some(())) = self.ctrl_break.poll_recv(cx) {
                return Poll::Ready(Signal::Break);
            }
            let ended =
                [self.close.poll_recv(cx), self.logoff.poll_recv(cx), self.shutdown.poll_recv(cx)];
            if ended.iter().any(|ended| matches!(ended, Poll::Ready(Some(())))) {
                return Poll::Ready(Signal::Terminate);
            }
            Poll::Pending
        }
    }

    /// Nothing to raise: the exit code carries the signal.
    pub(crate) fn raise(_: Signal) {}
}

/// SIGINT and SIGTERM, or their equivalents.
pub(crate) struct Signals(platform::Sources);

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        platform::Sources::listen().map(Self)
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        self.0.poll_next(cx)
    }

    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// Ends the process as the signal would have. Returns a code only if the platform has no such end.
pub(crate) fn raise_again(signal: Signal) -> ExitCode {
    platform::raise(signal);
    ExitCode::from(u8::try_from(128 + signal.number()).unwrap_or(u8::MAX))
}
