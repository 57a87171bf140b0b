//! The runtime's defaults, for the exit story. `testing::defaults` compares it with the runtime.

use super::{
    restart::{Backoff, Rate},
    values::Period,
};

/// Without `grace`.
pub(crate) const GRACE: Period = Period::seconds(20);

/// Without `backoff`.
pub(crate) const BACKOFF: Backoff = Backoff::Range(Period::millis(100), Period::seconds(30));

/// Without `max_restarts`.
pub(crate) const MAX_RESTARTS: Rate = Rate { restarts: 5, window: Period::minutes(1) };
