//! The functions whose runs are counted.

use std::hint::black_box;

use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, TaskError, supervised};

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
