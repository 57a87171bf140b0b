use std::{future::poll_fn, panic::Location, sync::Arc, task::Poll};

use loom::{future::block_on, thread};

use crate::context::tree::{OnThread, TaskRecord};
use crate::{
    context::tree::ScopeNode,
    function::Policy,
    function::loom::spec as model_spec,
    outcome::Outcome,
    sync::{join, model, spawn},
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

/// Sleeps as a task does: stores its waker once, then checks once more. Loom fails if it is never woken.
pub(crate) fn sleep_until(
    record: &TaskRecord,
    is_over: impl Fn() -> bool,
    must_wake: impl Fn() -> bool,
) {
    let mut stored = false;
    block_on(poll_fn(|cx| {
        if is_over() {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut stored, true) {
            record.set_waker(cx.waker());
            if must_wake() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }));
    record.clear_waker();
}

/// Invariant 3.
#[test]
fn an_abort_wakes_a_task_that_is_about_to_sleep() {
    model(None, || {
        let record = record(&CancellationToken::new());
        let aborts = spawn(&record, move |record| record.abort());
        sleep_until(&record, || record.is_aborted(), || record.is_aborted());
        join(aborts);
    });
}

/// Invariant 3, for a body that shares its token.
#[test]
fn a_cancel_wakes_a_task_that_is_about_to_sleep() {
    model(None, || {
        let record = record(&CancellationToken::new());
        let cancels = spawn(&record, move |record| record.cancel_by_handle());
        let is_cancelled = || record.control().requests().is_cancelled();
        sleep_until(&record, is_cancelled, is_cancelled);
        join(cancels);
    });
}

/// Invariant 4.
#[test]
fn a_cancel_fires_the_token_of_a_body_that_is_about_to_start() {
    model(None, || {
        let token = CancellationToken::new();
        let record = record(&token);
        let cancels = spawn(&record, move |record| record.cancel_by_handle());
        let own = token.child_token();
        record.set_token(&own);
        join(cancels);
        assert!(own.is_cancelled() && !token.is_cancelled());
    });
}

/// The token of a task that ends during a cancel is not kept.
#[test]
fn a_record_keeps_no_token_after_the_end() {
    model(None, || {
        let record = record(&CancellationToken::new());
        record.set_token(&CancellationToken::new());
        let cancels = spawn(&record, move |record| record.cancel_by_handle());
        record.set_ended(Outcome::Ok);
        join(cancels);
        assert!(record.links().token.is_none());
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
        let by_other = join(other);
        assert!(entered != by_other);
    });
}
