//! The cost of some parts of a run alone: no run that has them can be cheaper.

use std::{hint::black_box, sync::LazyLock, time::Instant};

use quanta::Clock;
use tokio::task::coop::consume_budget;
use tokio_supervised::{CancellationToken, TaskError};

use super::bare;

static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::new);

/// Two readings of the clock that durations are taken from.
pub(super) async fn clock(n: u64) -> Result<u64, TaskError> {
    let clock = &*CLOCK;
    let started = clock.raw();
    let value = bare(n).await;
    black_box(clock.delta_as_nanos(started, clock.raw()));
    value
}

/// The same with the parts that a hand-written program would use.
pub(super) async fn std_clock(n: u64) -> Result<u64, TaskError> {
    let started = Instant::now();
    let value = bare(n).await;
    black_box(started.elapsed());
    value
}

/// One check of a token, which takes its lock.
pub(super) async fn token(token: &CancellationToken, n: u64) -> Result<u64, TaskError> {
    black_box(token.is_cancelled());
    bare(n).await
}

/// A unit of tokio's cooperative budget, and every 128 of them a turn of the runtime.
pub(super) async fn budget(n: u64) -> Result<u64, TaskError> {
    consume_budget().await;
    bare(n).await
}
