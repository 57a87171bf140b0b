use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::Poll,
};

use loom::{future::block_on, thread};

use crate::context::cancel_waker::{CancelWaker, WakeAll};
use crate::{
    context::tree::TaskRecord,
    context::tree::loom::record as model_record,
    sync::{join, model},
};
use tokio_util::sync::CancellationToken;

struct OneTask(Arc<TaskRecord>);

impl WakeAll for OneTask {
    fn wake_tasks(&self) {
        self.0.wake_tasks();
    }
}

/// Invariant 2.
#[test]
fn a_task_that_sleeps_as_the_waker_fires_is_woken() {
    model(None, || {
        let token = CancellationToken::new();
        let tasks = Arc::new(OneTask(model_record(&token)));
        let weak: Weak<OneTask> = Arc::downgrade(&tasks);
        let cancel_waker = CancelWaker::new(&token, tasks.0.scope(), weak);
        let fires = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let record = &tasks.0;
        let mut kept = false;
        block_on(poll_fn(|cx| {
            if token.is_cancelled() {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut kept, true) {
                record.set_waker(cx.waker());
                if cancel_waker.fired() {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Pending
        }));
        record.clear_waker();
        join(fires);
    });
}

/// Invariant 1.
#[test]
fn a_fired_cancel_waker_has_a_cancelled_token() {
    model(None, || {
        let token = CancellationToken::new();
        let tasks = Arc::new(OneTask(model_record(&token)));
        let weak: Weak<OneTask> = Arc::downgrade(&tasks);
        let fires = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        // The cancel waker may be made while the token fires.
        let cancel_waker = CancelWaker::new(&token, tasks.0.scope(), weak);
        if cancel_waker.fired() {
            assert!(token.is_cancelled());
        }
        join(fires);
        assert!(cancel_waker.fired());
    });
}
