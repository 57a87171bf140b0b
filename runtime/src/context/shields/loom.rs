use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use loom::future::block_on;
use tokio::time::Instant;

use crate::context::shields::RunShields;
use crate::sync::{join, model, spawn};

/// Invariant 2.
#[test]
fn an_ending_run_is_woken_by_its_last_shield() {
    model(Some(3), || {
        let later = Instant::now() + Duration::from_secs(3_600);
        let shields_of_run = Arc::new(RunShields::default());
        let deadlines = [later, later + Duration::from_secs(1)];
        deadlines.into_iter().for_each(|deadline| shields_of_run.add(deadline));
        let shields = deadlines.map(|deadline| {
            spawn(&shields_of_run, move |shields_of_run| shields_of_run.remove(deadline))
        });
        if shields_of_run.mark_ending() {
            block_on(poll_fn(|cx| match shields_of_run.until_or_wake(cx.waker()) {
                Some(_) => Poll::Pending,
                None => Poll::Ready(()),
            }));
        }
        let left = shields_of_run.pending().deadlines.len();
        assert_eq!(left, 0, "shields that were not awaited");
        assert!(shields_of_run.is_ending_here());
        shields.into_iter().for_each(join);
    });
}
