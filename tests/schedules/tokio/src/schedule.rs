//! Functions that the tests themselves need.

use std::future::Future;

use crate::{task, time};

/// The first task of a schedule, which ends last: if some task waits for ever, that is a deadlock. The clock and
/// the task numbers are reset.
pub fn first<F: Future>(future: F) -> F::Output {
    time::reset();
    task::reset();
    let all = async {
        let value = future.await;
        task::all_ended().await;
        value
    };
    shuttle::future::block_on(task::remembering(all, None))
}

/// The first task waits until all others have ended.
pub async fn all_ended() {
    task::all_ended().await;
}
