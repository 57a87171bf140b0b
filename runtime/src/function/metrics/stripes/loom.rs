use std::sync::Arc;

use loom::thread;

use crate::function::metrics::stripes::{Counter, Stripes};
use crate::{
    function::metrics::threads::release_place,
    sync::{join, model, spawn_two},
};

fn sum(stripes: &Stripes<Counter>) -> u64 {
    stripes.iter().map(Counter::get).sum()
}

fn count_twice(stripes: &Stripes<Counter>) {
    for _ in 0..2 {
        let counters = stripes.local_metrics(|| ());
        counters.add(counters.counters(), 1);
    }
}

/// As a thread that ends.
fn count_and_end(stripes: &Stripes<Counter>) {
    count_twice(stripes);
    release_place();
}

/// Invariant 1.
#[test]
fn a_share_that_is_reused_by_a_thread_loses_no_count() {
    model(None, || {
        let stripes = Arc::new(Stripes::new());
        let threads = spawn_two(&stripes, |stripes| count_and_end(&stripes));
        threads.into_iter().for_each(join);
        assert_eq!(sum(&stripes), 4);
    });
}

/// Invariant 2.
#[test]
fn the_shared_share_loses_no_count() {
    model(None, || {
        let stripes = Arc::new(Stripes::new());
        let threads = spawn_two(&stripes, |stripes| {
            // As if its thread-locals were destroyed: it has the shared one from now on.
            _ = crate::function::metrics::threads::acquire_place();
            release_place();
            count_twice(&stripes);
        });
        threads.into_iter().for_each(join);
        assert_eq!(sum(&stripes), 4);
    });
}

/// Invariants 2 and 4.
#[test]
fn two_threads_on_one_share_lose_no_count() {
    model(None, || {
        let stripes = Arc::new(Stripes::shared());
        let threads = spawn_two(&stripes, |stripes| count_twice(&stripes));
        threads.into_iter().for_each(join);
        assert_eq!((sum(&stripes), stripes.iter().count()), (4, 1));
    });
}

/// Invariant 3.
#[test]
fn a_sum_never_decreases() {
    model(Some(2), || {
        let stripes = Arc::new(Stripes::new());
        let threads = spawn_two(&stripes, |stripes| count_and_end(&stripes));
        // The last thread, whose loads may then return every stored value.
        let reads = thread::spawn(move || {
            let (first, second) = (sum(&stripes), sum(&stripes));
            assert!(first <= second, "{first}, then {second}");
        });
        threads.into_iter().for_each(join);
        join(reads);
    });
}
