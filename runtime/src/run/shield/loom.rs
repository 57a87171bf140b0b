use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use loom::{future::block_on, thread};
use tokio::time::Instant;

use super::Protection;
use crate::sync::{ended, model};

/// Invariant 2.
#[test]
fn a_run_that_is_to_end_is_woken_by_the_last_shield_and_not_before() {
    model(Some(3), || {
        let later = Instant::now() + Duration::from_secs(3_600);
        let protection = Arc::new(Protection::default());
        let deadlines = [later, later + Duration::from_secs(1)];
        deadlines.into_iter().for_each(|deadline| protection.begin(deadline));
        let shields = deadlines.map(|deadline| {
            let protection = protection.clone();
            thread::spawn(move || protection.end(deadline))
        });
        if protection.holds_the_end() {
            block_on(poll_fn(|cx| match protection.until_or_wake(cx.waker()) {
                Some(_) => Poll::Pending,
                None => Poll::Ready(()),
            }));
        }
        let left = protection.pending().deadlines.len();
        assert_eq!(left, 0, "shields that were not waited for");
        assert!(protection.is_to_end_here());
        shields.into_iter().for_each(ended);
    });
}
