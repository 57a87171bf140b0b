use std::sync::{Arc, Weak};

use crate::context::cancel_waker::{CancelWaker, WakeAll};
use crate::{
    context::tree::TaskRecord,
    context::tree::loom::{record as model_record, sleep_until},
    sync::{join, model, spawn},
};
use tokio_util::sync::CancellationToken;

struct OneTask(Arc<TaskRecord>);

impl WakeAll for OneTask {
    fn wake_tasks(&self) {
        self.0.wake_tasks();
    }
}

/// A token, a task and what the cancel waker wakes.
fn one_task() -> (CancellationToken, Arc<OneTask>, Weak<OneTask>) {
    let token = CancellationToken::new();
    let tasks = Arc::new(OneTask(model_record(&token)));
    let weak = Arc::downgrade(&tasks);
    (token, tasks, weak)
}

/// Invariant 2.
#[test]
fn a_task_that_sleeps_as_the_waker_fires_is_woken() {
    model(None, || {
        let (token, tasks, weak) = one_task();
        let cancel_waker = CancelWaker::new(&token, tasks.0.scope(), weak);
        let fires = spawn(&token, move |token| token.cancel());
        sleep_until(&tasks.0, || token.is_cancelled(), || cancel_waker.fired());
        join(fires);
    });
}

/// Invariant 1.
#[test]
fn a_fired_cancel_waker_has_a_cancelled_token() {
    model(None, || {
        let (token, tasks, weak) = one_task();
        let fires = spawn(&token, move |token| token.cancel());
        // The cancel waker may be made while the token fires.
        let cancel_waker = CancelWaker::new(&token, tasks.0.scope(), weak);
        if cancel_waker.fired() {
            assert!(token.is_cancelled());
        }
        join(fires);
        assert!(cancel_waker.fired());
    });
}
