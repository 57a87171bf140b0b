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

    pub(crate) struct Sources([Option<tokio::signal::unix::Signal>; 3]);

    const SIGNALS: [Signal; 3] = [Signal::Interrupt, Signal::Terminate, Signal::Hangup];

    impl Sources {
        pub(crate) fn listen(set: SignalSet) -> io::Result<Self> {
            let listen = |wanted: bool, kind| wanted.then(|| signal(kind)).transpose();
            Ok(Self([
                listen(set.interrupt, SignalKind::interrupt())?,
                listen(set.terminate, SignalKind::terminate())?,
                listen(set.hangup && !is_ignored(Signal::Hangup), SignalKind::hangup())?,
            ]))
        }

        pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            for (source, signal) in self.0.iter_mut().zip(SIGNALS) {
                // `None` never occurs, according to tokio's documentation.
                if let Some(Poll::Ready(Some(()))) =
                    source.as_mut().map(|source| source.poll_recv(cx))
                {
                    return Poll::Ready(signal);
                }
            }
            Poll::Pending
        }
    }

    /// Whether the process was started with the signal ignored, as `nohup` does for SIGHUP. Known on Linux only: to ask the
    /// system itself takes unsafe code.
    fn is_ignored(signal: Signal) -> bool {
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        ignored.is_some_and(|mask| mask >> (signal.number() - 1) & 1 == 1)
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
        interrupts: Option<(CtrlC, CtrlBreak)>,
        ends: Option<(CtrlClose, CtrlLogoff, CtrlShutdown)>,
    }

    impl Sources {
        pub(crate) fn listen(set: SignalSet) -> io::Result<Self> {
            let interrupts = || Ok((ctrl_c()?, ctrl_break()?));
            let ends = || Ok((ctrl_close()?, ctrl_logoff()?, ctrl_shutdown()?));
            Ok(Self {
                interrupts: set.interrupt.then(interrupts).transpose()?,
                ends: set.terminate.then(ends).transpose()?,
            })
        }

        pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            let came = |polled: Poll<Option<()>>| matches!(polled, Poll::Ready(Some(())));
            if let Some((ctrl_c, ctrl_break)) = &mut self.interrupts {
                if came(ctrl_c.poll_recv(cx)) {
                    return Poll::Ready(Signal::Interrupt);
                }
                if came(ctrl_break.poll_recv(cx)) {
                    return Poll::Ready(Signal::Break);
                }
            }
            if let Some((close, logoff, shutdown)) = &mut self.ends {
                let ended =
                    [close.poll_recv(cx), logoff.poll_recv(cx), shutdown.poll_recv(cx)].map(came);
                if ended.contains(&true) {
                    return Poll::Ready(Signal::Terminate);
                }
            }
            Poll::Pending
        }
    }

    /// Nothing to raise: the exit code carries the signal.
    pub(crate) fn raise(_: Signal) {}
}

/// The signals that start a shutdown.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet {
    /// With Ctrl-Break.
    interrupt: bool,
    terminate: bool,
    #[cfg_attr(windows, expect(dead_code, reason = "there is no such signal"))]
    hangup: bool,
}

impl SignalSet {
    pub(crate) const DEFAULT: Self = Self { interrupt: true, terminate: true, hangup: false };

    pub(crate) const fn of(signals: &[Signal]) -> Self {
        let mut set = Self { interrupt: false, terminate: false, hangup: false };
        let mut at = 0;
        while at < signals.len() {
            match signals[at] {
                Signal::Interrupt | Signal::Break => set.interrupt = true,
                Signal::Terminate => set.terminate = true,
                Signal::Hangup => set.hangup = true,
            }
            at += 1;
        }
        set
    }
}

/// The chosen signals, or their equivalents.
pub(crate) struct Signals(platform::Sources);

impl Signals {
    pub(crate) fn listen(set: SignalSet) -> io::Result<Self> {
        platform::Sources::listen(set).map(Self)
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
