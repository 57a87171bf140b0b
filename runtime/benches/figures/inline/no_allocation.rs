//! An inline run allocates nothing.

use std::hint::black_box;

use tokio::runtime::Runtime;
use tokio_supervised::CancellationToken;

use super::ours;
use crate::allocations;

pub(super) fn in_1000_runs(runtime: &Runtime, token: &CancellationToken) -> usize {
    runtime.block_on(async {
        // When it is entered again, the runtime allocates once, when the first budget is spent: after 1,024 runs.
        for at in 0..2_000 {
            _ = black_box(ours(token, at).await);
        }
        let before = allocations::of_this_thread();
        for at in 0..1_000 {
            _ = black_box(ours(token, at).await);
        }
        allocations::of_this_thread() - before
    })
}
