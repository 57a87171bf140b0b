use std::{panic::Location, sync::Arc};

use loom::thread;

use super::{Spare, Spares};
use crate::{
    CancellationToken,
    run::row::{OnThread, Row, model_row},
    spec::{Policy, model_spec},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        ended, model,
    },
};

/// Invariant 1.
#[test]
fn a_row_is_used_again_only_when_nobody_has_it_any_more() {
    model(None, || {
        let token = CancellationToken::new();
        let row = model_row(&token);
        let scope = row.scope().clone();
        // The count of references is one that loom does not see: this is changed beside it.
        let references = Arc::new(AtomicUsize::new(2));
        let aborts = thread::spawn({
            let (row, references) = (row.clone(), references.clone());
            move || {
                row.abort();
                drop(row);
                references.fetch_sub(1, Ordering::Release);
            }
        });
        let spares = Mutex::new(Spares::default());
        let lock = || spares.lock().expect("loom's locks are not poisoned");
        let spare = Spare { token: Some(token.clone()), row: Some(row) };
        let surplus = lock().keep(spare, &token);
        assert!(surplus.token.is_none() && surplus.row.is_none());
        let spare = lock().take();
        assert!(spare.token == Some(token));
        references.fetch_sub(1, Ordering::Acquire);
        let spec = model_spec(Policy::DEFAULT);
        let next = Row::anew(spare.row, spec, Location::caller(), &scope, OnThread::Worker);
        ended(aborts);
        assert!(!next.is_aborted());
    });
}
