//! State shared by the tasks of a session.

use std::time::Duration;

use crate::{broker::Broker, sink::Sink};

/// Handles that many tasks can use at once, and constants.
pub(crate) struct Desk {
    pub(crate) broker: Broker,
    pub(crate) sink: Sink,
    /// Failed attempts after which an order is given up.
    pub(crate) attempts: i64,
    /// Deliveries after which it is given up without another attempt. More than the attempts: some deliveries are lost
    /// through no fault of the order, such as a killed worker or a lost database.
    pub(crate) deliveries: i64,
    pub(crate) ack_wait: Duration,
    pub(crate) retry: Duration,
    pub(crate) work: Duration,
}
