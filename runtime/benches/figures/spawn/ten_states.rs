//! The body that every contender spawns: it awaits ten times.

use std::hint::black_box;

use tokio::task::yield_now;
use tokio_supervised::{TaskError, supervised};

/// A body with ten states: `$step` is awaited in each.
macro_rules! ten_states {
    ($step:expr) => {{
        let kept = black_box([7_u64; 4]);
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        black_box(kept);
        Ok(())
    }};
}

/// An await that is ready, which the compiler cannot know.
async fn ready() {
    black_box(());
}

pub(super) async fn at_once() -> Result<(), TaskError> {
    ten_states!(ready())
}

pub(super) async fn yielding() -> Result<(), TaskError> {
    ten_states!(yield_now())
}

#[supervised]
pub(super) async fn supervised_at_once() -> Result<(), TaskError> {
    ten_states!(ready())
}

#[supervised]
pub(super) async fn supervised_yielding() -> Result<(), TaskError> {
    ten_states!(yield_now())
}
