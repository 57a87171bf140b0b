use std::sync::{Arc, Weak};

use loom::thread;

use crate::{
    cause::Cause,
    sync::{join, model},
};
use crate::{
    context::cancel_waker::{CancelWaker, WakeAll},
    context::tree::ScopeNode,
};
use tokio_util::sync::CancellationToken;

/// Invariant 1.
#[test]
fn a_cancelled_token_has_the_first_cause() {
    model(Some(3), || {
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let stops = [Cause::Drained, Cause::ScopeDropped].map(|cause| {
            let (scope, token): (Arc<ScopeNode>, _) = (scope.clone(), token.clone());
            thread::spawn(move || {
                scope.cancel(cause, || token.cancel());
            })
        });
        if scope.is_stopping() {
            let first = scope.cause();
            assert!(first.is_some());
            assert_eq!(scope.cause(), first);
        }
        stops.into_iter().for_each(join);
    });
}

struct Nobody;

impl WakeAll for Nobody {
    fn wake_tasks(&self) {}
}

/// Invariant 4.
#[test]
fn an_inner_cancel_waker_has_the_outer_cause() {
    model(None, || {
        let token = CancellationToken::new();
        let outer = ScopeNode::root(token.clone());
        let inner_token = token.child_token();
        let inner = ScopeNode::root(inner_token.clone());
        let nobody: Arc<Nobody> = Arc::new(Nobody);
        let weak: Weak<Nobody> = Arc::downgrade(&nobody);
        let cancel_waker = CancelWaker::new(&inner_token, &inner, weak);
        let cancels = thread::spawn(move || {
            outer.cancel(Cause::Drained, || token.cancel());
            // Nothing holds the outer scope from now on.
        });
        if cancel_waker.fired() {
            assert_eq!(inner.cause(), Some(Cause::Drained));
        }
        join(cancels);
        assert_eq!(inner.cause(), Some(Cause::Drained));
    });
}
