use std::sync::Arc;

use loom::thread;

use crate::function::metrics::stripes::{Counter, Stripes};
use crate::{
    function::metrics::threads::release_place,
    sync::{join, model},
};

fn sum(stripes: &Stripes<Counter>) -> u64 {
    stripes.iter().map(Counter::get).sum()
}

fn count(stripes: &Stripes<Counter>) {
    let counters = stripes.local_metrics(|| ());
    counters.add(counters.stripe, 1);
}

/// Invariant 1.
#[test]
fn a_share_that_is_reused_by_a_thread_loses_nothing() {
    model(None, || {
        let stripes = Arc::new(Stripes::new());
        let lives = {
            let stripes = stripes.clone();
            move || {
                count(&stripes);
                count(&stripes);
                release_place();
            }
        };
        let threads = [thread::spawn(lives.clone()), thread::spawn(lives)];
        threads.into_iter().for_each(join);
        assert_eq!(sum(&stripes), 4);
    });
}

/// Invariant 2.
#[test]
fn the_shared_share_loses_nothing() {
    model(None, || {
        let stripes = Arc::new(Stripes::new());
        let ends = {
            let stripes = stripes.clone();
            move || {
                // As if its thread-locals were destroyed: it has the shared one from now on.
                _ = crate::function::metrics::threads::acquire_place();
                release_place();
                count(&stripes);
                count(&stripes);
            }
        };
        let threads = [thread::spawn(ends.clone()), thread::spawn(ends)];
        threads.into_iter().for_each(join);
        assert_eq!(sum(&stripes), 4);
    });
}

/// Invariants 2 and 4.
#[test]
fn nothing_is_lost_in_the_one_share_of_all_threads() {
    model(None, || {
        let stripes = Arc::new(Stripes::shared());
        let counts = {
            let stripes = stripes.clone();
            move || {
                count(&stripes);
                count(&stripes);
            }
        };
        let threads = [thread::spawn(counts.clone()), thread::spawn(counts)];
        threads.into_iter().for_each(join);
        assert_eq!((sum(&stripes), stripes.iter().count()), (4, 1));
    });
}

/// Invariant 3.
#[test]
fn a_sum_never_goes_down() {
    model(Some(2), || {
        let stripes = Arc::new(Stripes::new());
        let lives = {
            let stripes = stripes.clone();
            move || {
                count(&stripes);
                count(&stripes);
                release_place();
            }
        };
        let threads = [thread::spawn(lives.clone()), thread::spawn(lives)];
        // The last thread, whose loads may then return every stored value.
        let reads = thread::spawn(move || {
            let (first, second) = (sum(&stripes), sum(&stripes));
            assert!(first <= second, "{first}, then {second}");
        });
        threads.into_iter().for_each(join);
        join(reads);
    });
}
