use std::{panic::Location, sync::Arc};

use crate::tasks::set::TaskSet;
use crate::{
    context::tree::{OnThread, ScopeNode, TaskRecord},
    function::Policy,
    function::loom::spec as model_spec,
    sync::{atomic::AtomicUsize, atomic::Ordering, join, model, spawn},
};
use tokio_util::sync::CancellationToken;

fn set() -> Arc<TaskSet<()>> {
    let token = CancellationToken::new();
    Arc::new(TaskSet::new(token.clone(), ScopeNode::root(token), ()))
}

fn record(set: &TaskSet<()>, spare: Option<Arc<TaskRecord>>) -> Arc<TaskRecord> {
    let spec = model_spec(Policy::DEFAULT);
    TaskRecord::recycle_or_new(spare, spec, Location::caller(), &set.scope, OnThread::Worker)
}

/// Invariant 3.
#[test]
fn no_task_escapes_an_abort() {
    model(None, || {
        let set = set();
        let listed = record(&set, None);
        set.lock().insert(&listed, ());
        let inserts = spawn(&set, move |set| {
            let record = record(&set, None);
            set.lock().insert(&record, ());
            record
        });
        set.abort();
        assert!(listed.is_aborted());
        assert!(join(inserts).is_aborted());
    });
}

/// Invariant 6.
#[test]
fn a_record_is_recycled_only_without_other_references() {
    model(None, || {
        let set = set();
        let record_of_ended = record(&set, None);
        let key = set.lock().insert(&record_of_ended, ());
        // Loom does not model the reference count of `Arc`; this value mirrors it.
        let references = Arc::new(AtomicUsize::new(2));
        let aborts = spawn(&references, move |references| {
            record_of_ended.abort();
            drop(record_of_ended);
            references.fetch_sub(1, Ordering::Release);
        });
        let mut locked = set.lock();
        let (ended, ()) = locked.remove(key);
        let surplus = locked.recycle(Some(set.token.clone()), ended, (&set.token, &set.scope));
        assert!(surplus.0.is_none() && surplus.1.is_none());
        let (token, spare) = locked.take_spare();
        assert!(token == Some(set.token.clone()));
        drop(locked);
        references.fetch_sub(1, Ordering::Acquire);
        let next = record(&set, spare);
        join(aborts);
        assert!(!next.is_aborted());
    });
}

/// Invariant 6: a record of another scope, and a clone of another token, are not kept.
#[test]
fn spares_of_a_replaced_token_are_not_kept() {
    model(None, || {
        let set = set();
        let key = set.lock().insert(&record(&set, None), ());
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let mut locked = set.lock();
        let (ended, ()) = locked.remove(key);
        let surplus = locked.recycle(Some(set.token.clone()), ended, (&token, &scope));
        assert!(surplus.0.is_some() && surplus.1.is_some());
        assert!(matches!(locked.take_spare(), (None, None)));
        drop(locked);
    });
}
