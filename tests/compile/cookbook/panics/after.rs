use tokio_supervised::{CancellationToken, TaskError, map, supervised};

// readme
#[supervised(limit = 16)]
async fn average(batch: Vec<u64>) -> Result<u64, TaskError> {
    Ok(batch.iter().sum::<u64>() / batch.len() as u64)
}

async fn averages(
    token: &CancellationToken,
    batches: Vec<Vec<u64>>,
) -> Vec<Option<u64>> {
    // one result per batch, in order
    let ends = map(token, batches, average).settled().await;
    let averages = ends.into_iter().enumerate().map(|(job, end)| {
        if let Err(TaskError::Panicked(panic)) = &end {
            // message and place; `stats()` has counted it,
            // and an `ERROR` event has it as fields
            eprintln!("job {job}: {panic}");
            eprintln!("{:?}", panic.backtrace());
        }
        end.ok()
    });
    averages.collect()
}
// end
