//! The level at which a failure is logged that no one awaits.

use tracing::Level;

/// `log = "warn"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureLevel {
    /// Not logged, only counted.
    Off,
    /// `DEBUG`.
    Debug,
    /// `INFO`.
    Info,
    /// `WARN`.
    Warn,
    /// `ERROR`.
    Error,
}

impl FailureLevel {
    /// Returns the level of the event; `None` if there is none.
    pub(crate) fn level(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Debug => Some(Level::DEBUG),
            Self::Info => Some(Level::INFO),
            Self::Warn => Some(Level::WARN),
            Self::Error => Some(Level::ERROR),
        }
    }
}
