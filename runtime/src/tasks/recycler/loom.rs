use std::{panic::Location, sync::Arc};

use loom::thread;

use crate::tasks::recycler::{Recycled, Recycler};
use crate::{
    context::tree::loom::record as model_record,
    context::tree::{OnThread, TaskRecord},
    function::Policy,
    function::loom::spec as model_spec,
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering, join, model},
};
use tokio_util::sync::CancellationToken;

/// Invariant 1.
#[test]
fn a_record_is_recycled_only_without_other_references() {
    model(None, || {
        let token = CancellationToken::new();
        let record = model_record(&token);
        let scope = record.scope().clone();
        // Loom does not see the reference count: this value changes together with it.
        let references = Arc::new(AtomicUsize::new(2));
        let aborts = thread::spawn({
            let (record, references) = (record.clone(), references.clone());
            move || {
                record.abort();
                drop(record);
                references.fetch_sub(1, Ordering::Release);
            }
        });
        let recycler = Mutex::new(Recycler::default());
        let lock = || recycler.lock().expect("loom's locks are not poisoned");
        let recycled = Recycled { token: Some(token.clone()), record: Some(record) };
        let surplus = lock().put(recycled, &token);
        assert!(surplus.token.is_none() && surplus.record.is_none());
        let recycled = lock().take();
        assert!(recycled.token == Some(token));
        references.fetch_sub(1, Ordering::Acquire);
        let spec = model_spec(Policy::DEFAULT);
        let next = TaskRecord::recycle_or_new(
            recycled.record,
            spec,
            Location::caller(),
            &scope,
            OnThread::Worker,
        );
        join(aborts);
        assert!(!next.is_aborted());
    });
}
