use std::sync::Arc;

use loom::future::block_on;

use crate::{
    context::control::Control,
    outcome::Outcome,
    sync::{join, model, spawn},
};

/// Invariant 1: loom fails if a wait is not woken.
#[test]
fn a_wait_that_starts_as_the_task_ends_is_woken() {
    model(None, || {
        let control = Arc::new(Control::new());
        let ends = spawn(&control, move |control| control.set_ended(Outcome::Error));
        assert_eq!(block_on(control.ended()), Outcome::Error);
        join(ends);
    });
}

/// Invariant 1.
#[test]
fn two_waits_are_woken_by_one_end() {
    model(Some(2), || {
        let control = Arc::new(Control::new());
        let ends = spawn(&control, move |control| control.set_ended(Outcome::Ok));
        let waits = spawn(&control, move |control| block_on(control.ended()));
        assert_eq!(block_on(control.ended()), Outcome::Ok);
        assert_eq!(join(waits), Outcome::Ok);
        join(ends);
    });
}

/// Invariants 2 and 3.
#[test]
fn a_request_is_before_the_end_or_changes_nothing() {
    model(None, || {
        let control = Arc::new(Control::new());
        let ends = spawn(&control, move |control| control.set_ended(Outcome::Ok));
        let cancelled = control.cancel_by_handle();
        join(ends);
        assert_eq!(control.requests().is_by_handle(), cancelled);
        assert_eq!(control.outcome(), Some(Outcome::Ok));
    });
}
