//! What the tasks of a session share.

use std::time::Duration;

use crate::{broker::Broker, sink::Sink};

/// Handles that are safe to use from many tasks at once, and numbers that stay as they are.
pub(crate) struct Desk {
    pub(crate) broker: Broker,
    pub(crate) sink: Sink,
    pub(crate) attempts: i64,
    pub(crate) ack_wait: Duration,
    pub(crate) retry: Duration,
    pub(crate) work: Duration,
}
