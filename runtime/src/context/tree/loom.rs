use std::{future::poll_fn, panic::Location, sync::Arc, task::Poll};

use loom::{future::block_on, thread};

use crate::context::tree::{OnThread, TaskRecord};
use crate::{
    context::tree::ScopeNode,
    function::Policy,
    function::loom::spec as model_spec,
    sync::{join, model},
};
use tokio_util::sync::CancellationToken;

pub(crate) fn record(token: &CancellationToken) -> Arc<TaskRecord> {
    let scope = ScopeNode::root(token.clone());
    Arc::new(TaskRecord::new(
        model_spec(Policy::DEFAULT),
        Location::caller(),
        scope,
        OnThread::Worker,
    ))
}

/// Invariant 3.
#[test]
fn an_abort_wakes_a_task_that_is_about_to_sleep() {
    model(None, || {
        let record = record(&CancellationToken::new());
        let aborts = thread::spawn({
            let record = record.clone();
            move || record.abort()
        });
        // What a task does; loom fails if it is never woken.
        let mut kept = false;
        block_on(poll_fn(|cx| {
            if record.is_aborted() {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut kept, true) {
                record.set_waker(cx.waker());
                if record.is_aborted() {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Pending
        }));
        record.clear_waker();
        join(aborts);
    });
}

#[test]
fn an_unfinished_task_is_marked_once() {
    model(None, || {
        let record = record(&CancellationToken::new());
        let enters = {
            let record = record.clone();
            move || record.mark_unfinished()
        };
        let other = thread::spawn(enters.clone());
        let entered = enters();
        let by_other = other.join().expect("loom ends the test where a thread panics");
        assert!(entered != by_other);
    });
}
