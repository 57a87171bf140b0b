//! The settings of a main: by the attribute, or by [`Main`](crate::Main).

use std::time::Duration;

use crate::process::signals::SignalSet;

/// How a main handles its signals.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) grace: Duration,
    pub(crate) linger: Duration,
    pub(crate) signals: SignalSet,
    /// Whether SIGUSR1 prints the live tasks.
    pub(crate) dumps: bool,
    /// How long a poll takes that is reported; `None` if none is.
    pub(crate) warn_blocked: Option<Duration>,
}

impl Settings {
    /// A grace below the 30 s that orchestrators usually give.
    pub(crate) const DEFAULT: Self = Self {
        grace: Duration::from_secs(25),
        linger: Duration::ZERO,
        signals: SignalSet::DEFAULT,
        dumps: true,
        warn_blocked: Some(Duration::from_secs(1)),
    };
}
