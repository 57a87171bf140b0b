//! Durations of runs, in real time.
//!
//! A run reads the clock twice. The processor's own counter (through `quanta`) takes half the time of
//! `std::time::Instant`. If it is unreliable, `quanta` falls back to `Instant`. Paused tokio time does not affect it. A
//! deadline on tokio's clock that starts with such a reading uses [`Ticks::elapsed_by_tokio`].

use std::{
    sync::{OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use quanta::Clock;

use crate::sync::atomic64::AtomicU64;

/// A reading of the clock. Only the difference of two readings is meaningful.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticks(u64);

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// Created when the first supervised function is registered. Calibrating usually takes well under a millisecond, and at
/// most 200 ms.
#[inline]
fn clock() -> &'static Clock {
    CLOCK.get_or_init(Clock::new)
}

impl Ticks {
    /// A placeholder before the first reading.
    pub(crate) const NEVER: Self = Self(0);

    #[inline]
    pub(crate) fn now() -> Self {
        Self(clock().raw())
    }

    pub(crate) fn is_never(self) -> bool {
        self.0 == Self::NEVER.0
    }

    /// Nanoseconds since this reading.
    #[inline]
    pub(crate) fn elapsed_nanos(self) -> u64 {
        let clock = clock();
        clock.delta_as_nanos(self.0, clock.raw())
    }

    /// Returns the time since this reading if tokio's clock runs, and zero if it is paused, as in a test. Less than
    /// tokio's resolution of a millisecond is zero too.
    pub(crate) fn elapsed_by_tokio(self) -> Duration {
        let elapsed = Duration::from_nanos(self.elapsed_nanos());
        if elapsed < Duration::from_millis(1) {
            return Duration::ZERO;
        }
        let before = Instant::now();
        let by_tokio = tokio::time::Instant::now().into_std();
        let runs = (before..=Instant::now()).contains(&by_tokio);
        if runs { elapsed } else { Duration::ZERO }
    }
}

/// A reading that one thread writes and others read.
pub(crate) struct AtomicTicks(AtomicU64);

impl AtomicTicks {
    pub(crate) const fn new(ticks: Ticks) -> Self {
        Self(AtomicU64::new(ticks.0))
    }

    #[inline]
    pub(crate) fn load(&self) -> Ticks {
        Ticks(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn store(&self, ticks: Ticks) {
        self.0.store(ticks.0, Ordering::Relaxed);
    }
}
