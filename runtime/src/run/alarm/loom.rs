use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::Poll,
};

use loom::{future::block_on, thread};

use super::{Alarm, Wakes};
use crate::{
    CancellationToken,
    run::record::{TaskRecord, model_record},
    sync::{ended, model},
};

struct OneTask(Arc<TaskRecord>);

impl Wakes for OneTask {
    fn wake_tasks(&self) {
        self.0.wake_tasks();
    }
}

/// Invariant 2.
#[test]
fn a_task_that_goes_to_sleep_while_the_alarm_rings_is_woken() {
    model(None, || {
        let token = CancellationToken::new();
        let tasks = Arc::new(OneTask(model_record(&token)));
        let weak: Weak<OneTask> = Arc::downgrade(&tasks);
        let alarm = Alarm::new(&token, tasks.0.scope(), weak);
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
                if alarm.has_rung() {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Pending
        }));
        record.clear_waker();
        ended(fires);
    });
}

/// Invariant 1.
#[test]
fn an_alarm_that_has_rung_is_of_a_token_that_has_fired() {
    model(None, || {
        let token = CancellationToken::new();
        let tasks = Arc::new(OneTask(model_record(&token)));
        let weak: Weak<OneTask> = Arc::downgrade(&tasks);
        let fires = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        // Also where it is made while the token fires.
        let alarm = Alarm::new(&token, tasks.0.scope(), weak);
        if alarm.has_rung() {
            assert!(token.is_cancelled());
        }
        ended(fires);
        assert!(alarm.has_rung());
    });
}
