//! A call of several runs.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{sync::Arc, time::Duration};

use tokio_supervised::{CancellationToken, supervised};

use crate::{
    explore::below,
    record::{Act, Clock, Failed, Seen, Since, act, some_turns},
};

#[supervised(
    name = "restart: call",
    limit = 1,
    restart = "on-failure",
    backoff = "10ms..20ms",
    max_restarts = "2/1m"
)]
async fn call(
    token: &CancellationToken,
    failures: Arc<AtomicUsize>,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    let fails = failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    act(token, 0, if fails { Act::error(1) } else { Act::ok(1) }, seen).await
}

in_many_orders! {
    async fn calls_that_restart_hold_no_permit_between_their_runs() {
        let since = Since::now("restart: call");
        let seen = Arc::new(Seen::default());
        let token = CancellationToken::new();
        let clock = Clock::steps(Duration::from_millis(15));
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let failures = Arc::new(AtomicUsize::new(below(4)));
                let (token, seen) = (token.clone(), seen.clone());
                tokio::spawn(async move {
                    let left = failures.clone();
                    (failures.load(SeqCst), call(&token, left, seen).await)
                })
            })
            .collect();
        some_turns().await;
        let is_cancelled = below(3) == 0;
        if is_cancelled {
            token.cancel();
        }
        for call in calls {
            match call.await.unwrap() {
                (failures, Ok(_)) => assert!(failures <= 2),
                (failures, Err(Failed::Own { .. })) => assert!(is_cancelled || failures > 2),
                (_, Err(error)) => assert!(is_cancelled, "{error}"),
            }
        }
        clock.stop().await;
        seen.all_over();
        since.all_ended();
        assert!(seen.peak() <= 1, "{} at once", seen.peak());
    }
}
