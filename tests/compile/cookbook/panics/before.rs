use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

// readme
async fn averages(batches: Vec<Vec<u64>>) -> Vec<u64> {
    let averages = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for batch in batches {
        let averages = averages.clone();
        tasks.spawn(async move {
            // poisoned by one job: every later job panics
            let mut averages = averages.lock().unwrap();
            let sum: u64 = batch.iter().sum();
            averages.push(sum / batch.len() as u64);
        });
    }
    while let Some(joined) = tasks.join_next().await {
        if let Err(error) = joined {
            // "task 14 panicked": which job? where?
            eprintln!("{error}");
        }
    }
    averages.lock().unwrap().clone()
}
// end
