//! A section that is not interrupted.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{future::pending, sync::Arc, time::Duration};

use tokio::{schedule::all_ended, task::yield_now};
use tokio_supervised::{CancellationToken, Outcome, TaskError, shield, supervised};

use crate::{
    explore::below,
    record::{Clock, Since, some_turns},
};

#[supervised(name = "shield: saves", limit = 2, timeout = "1s")]
async fn saves(started: Arc<AtomicUsize>, saved: Arc<AtomicUsize>) -> Result<usize, TaskError> {
    yield_now().await;
    shield(Duration::from_secs(1_000_000), |_| async {
        started.fetch_add(1, SeqCst);
        yield_now().await;
        yield_now().await;
        saved.fetch_add(1, SeqCst);
    })
    .await;
    pending().await
}

in_many_orders! {
    async fn a_started_section_is_not_interrupted_by_token_or_timeout() {
        let since = Since::now("shield: saves");
        let (started, saved) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let token = CancellationToken::new();
        let clock = Clock::steps(Duration::from_millis(500));
        let runs: Vec<_> = (0..3)
            .map(|_| {
                let (token, started, saved) = (token.clone(), started.clone(), saved.clone());
                tokio::spawn(async move { saves(&token, started, saved).await.unwrap_err() })
            })
            .collect();
        some_turns().await;
        if below(2) == 0 {
            token.cancel();
        }
        let mut ends = Vec::new();
        for run in runs {
            ends.push(run.await.unwrap().outcome());
        }
        clock.stop().await;
        all_ended().await;
        assert_eq!(started.load(SeqCst), saved.load(SeqCst), "sections started and ended");
        let done = since.all_ended();
        for end in [Outcome::Cancelled, Outcome::TimedOut] {
            let count = ends.iter().filter(|outcome| **outcome == end).count();
            assert_eq!(done.ended(end), count as u64, "{ends:?}");
        }
    }
}
