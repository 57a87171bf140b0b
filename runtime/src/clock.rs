//! Durations of runs, in real time.
//!
//! A run reads the clock twice. The processor's own counter (through `quanta`) costs half of what
//! `std::time::Instant` costs there; where it is not to be trusted, `quanta` falls back to the latter.
//! Paused tokio time does not touch it.

use std::sync::OnceLock;

use quanta::Clock;

/// A reading of the clock; only the difference of two means something.
#[derive(Clone, Copy)]
pub(crate) struct Ticks(u64);

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// Made at the registration of the first supervised function. Calibrating takes well under a
/// millisecond as a rule, and 200 ms at the very worst.
#[inline]
fn clock() -> &'static Clock {
    CLOCK.get_or_init(Clock::new)
}

impl Ticks {
    /// A place to keep readings in, before the first.
    pub(crate) const NEVER: Self = Self(0);

    #[inline]
    pub(crate) fn now() -> Self {
        Self(clock().raw())
    }

    /// Nanoseconds since this reading.
    #[inline]
    pub(crate) fn elapsed_nanos(self) -> u64 {
        let clock = clock();
        clock.delta_as_nanos(self.0, clock.raw())
    }
}
