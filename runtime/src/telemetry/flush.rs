//! Logs the pending counts of failures and backtraces of panics.

use crate::{bounded, panic::backtraces, telemetry::events};

/// Logs both within one limit: the process may end now.
pub(crate) fn all() {
    if events::has_counted() || backtraces::are_in_use() {
        bounded::report(|| {
            events::flush_all();
            backtraces::flush();
        });
    }
}

/// Logs the backtraces, if panics were logged.
pub(crate) fn backtraces() {
    if backtraces::are_in_use() {
        bounded::report(backtraces::flush);
    }
}

/// Logs the counts of failures, if there are any.
pub(crate) fn counts() {
    if events::has_counted() {
        bounded::report(events::flush_all);
    }
}
