//! The job and its input.

use tokio_supervised::{TaskError, supervised};

/// The average of a batch.
///
/// It trusts its batch not to be empty: an empty one makes the division panic, in this job and in no other. It yields
/// before it computes, which is where it can be cancelled.
#[supervised(limit = 16, name = "average")]
pub(crate) async fn average(batch: Vec<u64>) -> Result<u64, TaskError> {
    tokio::task::yield_now().await;
    Ok(batch.iter().sum::<u64>() / batch.len() as u64)
}

/// Batches of which one in `every` is empty.
pub(crate) fn batches(jobs: u64, every: u64) -> impl Iterator<Item = Vec<u64>> {
    // Such an average is never a multiple of anything but 0.
    let is_empty = move |job: u64| every != 0 && job % every == 0;
    (1..=jobs).map(move |job| if is_empty(job) { Vec::new() } else { vec![job, job + 2] })
}
