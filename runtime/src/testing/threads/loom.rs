use std::sync::Arc;

use crate::sync::{join, model, spawn};
use crate::testing::threads::Threads;

/// Invariant 3.
#[test]
fn a_live_thread_is_never_missed_as_another_stops() {
    model(None, || {
        let threads = Arc::new(Threads::default());
        threads.on_start();
        let makes_one = spawn(&threads, move |threads| {
            threads.on_start();
            let stops = spawn(&threads, move |threads| threads.on_stop());
            join(stops);
        });
        let live = threads.live();
        assert!((1..=2).contains(&live), "{live} threads");
        join(makes_one);
        assert_eq!(threads.live(), 1);
    });
}
