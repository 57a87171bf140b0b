//! Why a token fired.

use std::fmt;

/// Why a run was cancelled: the reason for which its group, `map`, pool or main was cancelled.
///
/// A token that code fired has no reason: [`Token`](Cause::Token).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The token was fired by code that gave no reason.
    Token,
    /// The process received a signal to stop.
    Signal(Signal),
    /// A task of the same group or `map`, or a service of the same [`Services`](crate::Services), failed.
    SiblingFailed {
        /// Its name.
        task: &'static str,
    },
    /// A task of the same group ended, and the group stops at the first exit; or a service of the same
    /// [`Services`](crate::Services) returned before it was asked to stop.
    SiblingExited {
        /// Its name.
        task: &'static str,
    },
    /// The pool is draining, and the time in which its tasks run undisturbed is over: it ends 5 s before the end of the
    /// drain's grace, or after half of a grace below 10 s, or as [`Pool::stopping`](crate::Pool::stopping) says.
    Drained,
    /// The group, the future of the `map`, the future of `Services::run`, or the last handle of the pool was dropped.
    ScopeDropped,
    /// Its handle stopped it: [`TaskHandle::cancel`](crate::TaskHandle::cancel),
    /// [`TaskHandle::abort`](crate::TaskHandle::abort) or [`ServicesHandle::stop`](crate::ServicesHandle::stop).
    Handle,
    /// The runtime, or the [`LocalSet`](tokio::task::LocalSet), that ran the task was shut down or dropped.
    RuntimeGone,
    /// The enclosing [`shield`](crate::shield()) reached its limit.
    ShieldLimit,
    /// The deadline of a [`within`](crate::within()) around it has passed.
    Deadline,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("its token fired"),
            Self::Signal(signal) => write!(f, "the process received {signal}"),
            Self::SiblingFailed { task } => write!(f, "its sibling `{task}` failed"),
            Self::SiblingExited { task } => write!(f, "its sibling `{task}` ended"),
            Self::Drained => f.write_str("its pool is draining"),
            Self::ScopeDropped => f.write_str("its scope was dropped"),
            Self::Handle => f.write_str("its handle stopped it"),
            Self::RuntimeGone => f.write_str("its runtime or `LocalSet` was dropped or shut down"),
            Self::ShieldLimit => f.write_str("its shield exceeded its limit"),
            Self::Deadline => f.write_str("its deadline has passed"),
        }
    }
}

/// The signal that stopped the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGINT; Ctrl-C on Windows.
    Interrupt,
    /// SIGTERM; closing the console, logging off or shutting down on Windows.
    Terminate,
    /// Ctrl-Break, on Windows.
    Break,
    /// SIGHUP: the terminal was closed. Not caught by default.
    Hangup,
}

impl Signal {
    /// The number that the exit code is made of: `128 + number`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Interrupt => 2,
            Self::Terminate => 15,
            Self::Break => 21,
            Self::Hangup => 1,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Break => "SIGBREAK",
            Self::Hangup => "SIGHUP",
        })
    }
}
