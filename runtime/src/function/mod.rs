//! The static description of a supervised function.
//!
//! Invariant, checked for every interleaving by `function/loom.rs`
//!
//! 1. A function is listed once, before any of its runs is counted: a thread that finds its counters there finds
//!    the function in the list.

pub(crate) mod limit;
pub(crate) mod metrics;

#[cfg(all(test, supervised_loom))]
pub(crate) mod loom;
pub(crate) mod restart;

use std::{panic::Location, sync::PoisonError, time::Duration};

use crate::function::restart::Restart;
use crate::{
    function::limit::Limit,
    function::metrics::stripes::LocalMetrics,
    function::metrics::{Metrics, Stripe},
    sync::{Mutex, Once},
    {panic, sync},
};

/// The policy of the attribute's arguments.
#[derive(Clone, Copy)]
pub struct Policy {
    limit: Option<usize>,
    rejects_when_full: bool,
    timeout: Option<Duration>,
    cooperates: bool,
    takes_token: bool,
    grace: Option<Duration>,
    restart: Option<Restart>,
}

impl Policy {
    /// No limit, no timeout, no restart; the body is dropped when the token fires.
    pub const DEFAULT: Self = Self {
        limit: None,
        rejects_when_full: false,
        timeout: None,
        cooperates: false,
        takes_token: false,
        grace: Self::DEFAULT_GRACE,
        restart: None,
    };

    pub(crate) const DEFAULT_GRACE: Option<Duration> = Some(Duration::from_secs(20));

    /// `limit = N`.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// `on_full = "reject"`.
    #[must_use]
    pub const fn reject_when_full(mut self) -> Self {
        self.rejects_when_full = true;
        self
    }

    /// `timeout = "10s"`.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "`timeout` must be longer than 0");
        self.timeout = Some(timeout);
        self
    }

    /// `on_cancel = "cooperate"`.
    #[must_use]
    pub const fn cooperate(mut self) -> Self {
        self.cooperates = true;
        self
    }

    /// The body starts with [`own_token`](crate::token::own_token).
    #[must_use]
    pub const fn take_token(mut self) -> Self {
        self.takes_token = true;
        self
    }

    /// `grace = "5s"`; `None` for never.
    #[must_use]
    pub const fn grace(mut self, grace: Option<Duration>) -> Self {
        self.grace = grace;
        self
    }

    /// `restart = "on-failure"`, and what goes with it.
    #[must_use]
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = Some(restart);
        self
    }
}

/// Values that only the compiler knows: a wrong one fails the build, at the value.
pub mod checked {
    use std::{ops::Range, time::Duration};

    /// `limit = CONST`.
    #[must_use]
    pub const fn limit(limit: usize) -> usize {
        assert!(limit > 0, "`limit` must not be 0: no task could run");
        limit
    }

    /// `worker_threads = CONST`.
    #[must_use]
    pub const fn worker_threads(threads: usize) -> usize {
        assert!(threads > 0, "`worker_threads` must not be 0: no task could run");
        threads
    }

    /// `timeout = CONST`.
    #[must_use]
    pub const fn timeout(timeout: Duration) -> Duration {
        assert!(!timeout.is_zero(), "`timeout` must be longer than 0");
        timeout
    }

    /// `grace = CONST`.
    #[must_use]
    pub const fn grace(grace: Duration) -> Duration {
        assert!(!grace.is_zero(), "`grace` must be longer than 0");
        grace
    }

    /// `backoff = CONST`.
    #[must_use]
    pub const fn backoff(bounds: Range<Duration>) -> Range<Duration> {
        assert!(!bounds.start.is_zero(), "`backoff` must start above 0");
        assert!(
            bounds.start.as_nanos() <= bounds.end.as_nanos(),
            "`backoff` must not end below its start: swap its bounds"
        );
        bounds
    }
}

/// One supervised function: name, place, policy, permits, counters. Shared by all its instances.
pub struct TaskSpec {
    name: &'static str,
    place: &'static Location<'static>,
    policy: Policy,
    limit: Option<Limit>,
    metrics: Metrics,
    registered: Once,
}

sync::global! {
    /// Every function that has run, in the order of their first runs.
    static SPECS: Mutex<Vec<&'static TaskSpec>> = Mutex::new(Vec::new());
}

impl TaskSpec {
    sync::const_fn! {
        /// Describes a function at the place of the call.
        #[must_use]
        #[track_caller]
        pub const fn new(name: &'static str, policy: Policy) -> Self {
            Self::at(name, Location::caller(), policy, Metrics::new())
        }
    }

    sync::const_fn! {
        /// Describes a closure that blocks, at the place of its spawn.
        pub(crate) const fn blocking(
            name: &'static str,
            place: &'static Location<'static>,
            policy: Policy,
        ) -> Self {
            Self::at(name, place, policy, Metrics::shared())
        }
    }

    sync::const_fn! {
        const fn at(
            name: &'static str,
            place: &'static Location<'static>,
            policy: Policy,
            metrics: Metrics,
        ) -> Self {
            Self {
                name,
                place,
                policy,
                limit: match policy.limit {
                    Some(size) => Some(Limit::new(size)),
                    None => None,
                },
                metrics,
                registered: Once::new(),
            }
        }
    }

    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    #[inline]
    pub(crate) fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    #[inline]
    pub(crate) fn rejects_when_full(&self) -> bool {
        self.policy.rejects_when_full
    }

    #[inline]
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.policy.timeout
    }

    #[inline]
    pub(crate) fn cooperates(&self) -> bool {
        self.policy.cooperates
    }

    /// Whether the body takes the token, and could fire it.
    #[inline]
    pub(crate) fn takes_token(&self) -> bool {
        self.policy.takes_token
    }

    pub(crate) fn grace(&self) -> Option<Duration> {
        self.policy.grace
    }

    pub(crate) fn restart(&self) -> Option<&Restart> {
        self.policy.restart.as_ref()
    }

    /// This thread's counters. The first use lists the function, and installs the panic hook.
    #[inline]
    pub(crate) fn local_metrics(&'static self) -> LocalMetrics<'static, Stripe> {
        self.metrics.local_metrics(|| self.register())
    }

    #[cold]
    fn register(&'static self) {
        self.registered.call_once(|| {
            SPECS.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        });
        panic::hook::install();
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn all() -> Vec<&'static Self> {
        SPECS.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
