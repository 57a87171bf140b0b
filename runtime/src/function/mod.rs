//! The static description of a supervised function.
//!
//! Invariant, checked for every interleaving by `function/loom.rs`
//!
//! 1. A function is listed once, before any of its runs is counted: a thread that finds its counters there finds
//!    the function in the list.
//! 2. A limit that was set before the first run of a function is its limit when it is listed. Otherwise a limit that is
//!    set at that moment could be lost, or be replaced by an earlier one. (`tests/spec/behaviour/set_limit.rs`)

pub(crate) mod failure_level;
pub(crate) mod limit;
pub(crate) mod metrics;

#[cfg(all(test, supervised_loom))]
pub(crate) mod loom;
pub(crate) mod restart;

use std::{
    collections::BTreeMap,
    panic::Location,
    sync::{
        PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::function::restart::Restart;
use crate::{
    function::failure_level::FailureLevel,
    function::limit::Limit,
    function::metrics::stripes::LocalMetrics,
    function::metrics::{Metrics, Stripe},
    sync::{Mutex, MutexGuard, Once},
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
    failure_level: FailureLevel,
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
        failure_level: FailureLevel::Error,
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

    /// `log = "warn"`.
    #[must_use]
    pub const fn log(mut self, level: FailureLevel) -> Self {
        self.failure_level = level;
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

    /// `warn_blocked = CONST`.
    #[must_use]
    pub const fn warn_blocked(limit: Duration) -> Duration {
        assert!(!limit.is_zero(), "`warn_blocked` must be longer than 0");
        limit
    }

    /// `every = CONST`.
    #[must_use]
    pub const fn every(interval: Duration) -> Duration {
        assert!(!interval.is_zero(), "`every` must be longer than 0");
        interval
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
    /// Its place in the list, from 1 on.
    number: AtomicU32,
}

sync::global! {
    static FUNCTIONS: Mutex<Functions> = Mutex::new(Functions::NONE);
}

/// How many limits are kept for functions that have not run.
pub(crate) const MOST_PENDING: usize = 1_024;

struct Functions {
    /// Every function that has run, in the order of their first runs.
    listed: Vec<&'static TaskSpec>,
    /// The limits that were set for functions that had not run, by name. They stay, for other functions of that name.
    pending: BTreeMap<Box<str>, usize>,
}

impl Functions {
    const NONE: Self = Self { listed: Vec::new(), pending: BTreeMap::new() };

    fn named_for_limit(&mut self, name: &str, size: usize) -> Named {
        let Self { listed, pending } = self;
        let named: Vec<_> = listed.iter().copied().filter(|spec| spec.name == name).collect();
        let is_full = pending.len() >= MOST_PENDING;
        match pending.get_mut(name) {
            Some(pending) => *pending = size,
            None if !named.is_empty() => {}
            None if is_full => return Named::TooMany,
            None => _ = pending.insert(name.into(), size),
        }
        if named.is_empty() { Named::Pending } else { Named::Listed(named) }
    }
}

/// The functions that a limit is set for.
pub(crate) enum Named {
    /// Those of that name that have run.
    Listed(Vec<&'static TaskSpec>),
    /// None has run: the limit is kept for their first runs.
    Pending,
    /// The same, and too many limits are kept already.
    TooMany,
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
                number: AtomicU32::new(0),
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

    /// The limit, for a permit that is acquired before the run: with the size that was set before the first run.
    pub(crate) fn limit_before_run(&'static self) -> Option<&'static Limit> {
        let limit = self.limit.as_ref()?;
        if !self.registered.is_completed() {
            self.register();
        }
        Some(limit)
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

    /// The level at which a failure is logged that no one awaits.
    pub(crate) fn failure_level(&self) -> FailureLevel {
        self.policy.failure_level
    }

    /// This thread's counters. The first use lists the function, and installs the panic hook.
    #[inline]
    pub(crate) fn local_metrics(&'static self) -> LocalMetrics<'static, Stripe> {
        self.metrics.local_metrics(|| self.register())
    }

    #[cold]
    fn register(&'static self) {
        self.registered.call_once(|| {
            let mut applied = None;
            loop {
                let mut functions = Self::functions();
                let pending = self.limit.as_ref().and(functions.pending.get(self.name).copied());
                if pending == applied {
                    functions.listed.push(self);
                    let number = u32::try_from(functions.listed.len()).unwrap_or(0);
                    self.number.store(number, Ordering::Relaxed);
                    break;
                }
                drop(functions);
                // Outside of the lock, since it may wake tasks. Another limit may be set meanwhile.
                if let (Some(limit), Some(size)) = (&self.limit, pending) {
                    limit.resize(size);
                }
                applied = pending;
            }
        });
        panic::hook::install();
    }

    fn functions() -> MutexGuard<'static, Functions> {
        FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the functions of that name that have run, to set their limit, or keeps the limit for their first runs.
    pub(crate) fn named_for_limit(name: &str, size: usize) -> Named {
        Self::functions().named_for_limit(name, size)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A number that [`numbered`](Self::numbered) takes; 0 before its first run.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// The function with that number.
    pub(crate) fn numbered(number: u32) -> Option<&'static Self> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::functions().listed.get(at).copied()
    }

    pub(crate) fn all() -> Vec<&'static Self> {
        Self::functions().listed.clone()
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn limits_of_1024_names_are_kept() {
        let mut functions = Functions::NONE;
        for number in 0..MOST_PENDING {
            let named = functions.named_for_limit(&format!("f{number}"), 1);
            assert!(matches!(named, Named::Pending));
        }
        assert!(matches!(functions.named_for_limit("one more", 1), Named::TooMany));
        assert!(matches!(functions.named_for_limit("f7", 2), Named::Pending));
        assert_eq!((functions.pending.len(), functions.pending["f7"]), (MOST_PENDING, 2));
    }
}
