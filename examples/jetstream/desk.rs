//! What the tasks of a session share.

use std::time::Duration;

use crate::{broker::Broker, sink::Sink};

/// Handles that are safe to use from many tasks at once, and numbers that stay as they are.
pub(crate) struct Desk {
    pub(crate) broker: Broker,
    pub(crate) sink: Sink,
    /// Failures of its own after which an order is given up.
    pub(crate) attempts: i64,
    /// Deliveries after which it is given up without being begun. More than the attempts: some are used up by what is
    /// no fault of the order's, such as a worker that is killed or a database that is lost.
    pub(crate) deliveries: i64,
    pub(crate) ack_wait: Duration,
    pub(crate) retry: Duration,
    pub(crate) work: Duration,
}
