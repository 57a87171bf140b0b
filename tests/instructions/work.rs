//! The functions whose runs are counted.

use std::{hint::black_box, time::Duration};

use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, TaskError, shield, supervised, within};

pub(crate) type Worked = Result<u64, TaskError>;

#[supervised]
pub(crate) async fn ready(n: u64) -> Worked {
    Ok(black_box(n))
}

/// How many times the next two await.
pub(crate) const AWAITS: u64 = 16;

#[supervised]
pub(crate) async fn awaiting(n: u64) -> Worked {
    let mut sum = n;
    for at in 0..AWAITS {
        sum += std::future::ready(black_box(at)).await;
    }
    Ok(sum)
}

#[supervised(lines = false)]
pub(crate) async fn awaiting_unmarked(n: u64) -> Worked {
    let mut sum = n;
    for at in 0..AWAITS {
        sum += std::future::ready(black_box(at)).await;
    }
    Ok(sum)
}

#[supervised]
pub(crate) async fn taking(token: &CancellationToken, n: u64) -> Worked {
    black_box(token);
    Ok(black_box(n))
}

#[supervised]
pub(crate) async fn yielding(n: u64) -> Worked {
    yield_now().await;
    Ok(black_box(n))
}

#[supervised(limit = 64)]
pub(crate) async fn limited(n: u64) -> Worked {
    Ok(black_box(n))
}

#[supervised(limit = 1)]
pub(crate) async fn alone(n: u64) -> Worked {
    yield_now().await;
    Ok(black_box(n))
}

#[supervised]
pub(crate) async fn panicking(n: u64) -> Worked {
    panic!("{n}")
}

#[supervised(restart = "on-failure")]
pub(crate) async fn restarting(n: u64) -> Worked {
    Ok(black_box(n))
}

#[supervised]
pub(crate) async fn nesting(token: &CancellationToken, n: u64) -> Worked {
    yielding(token, n).await
}

const LIMIT: Duration = Duration::from_secs(600);

/// A section for each unit, in one run.
#[supervised]
pub(crate) async fn shielding(units: u64) -> Worked {
    for n in 0..units {
        black_box(shield(LIMIT, |_| async { black_box(n) }).await);
    }
    Ok(units)
}

/// The same, each section pending once.
#[supervised]
pub(crate) async fn shielding_pending(units: u64) -> Worked {
    for n in 0..units {
        shield(LIMIT, |_| yield_now()).await;
        black_box(n);
    }
    Ok(units)
}

/// A section with a deadline for each unit, in one run.
#[supervised]
pub(crate) async fn within_deadline(token: &CancellationToken, units: u64) -> Worked {
    for n in 0..units {
        black_box(within(token, LIMIT, async |_| Worked::Ok(black_box(n))).await?);
    }
    Ok(units)
}
