use std::sync::Arc;

use loom::thread;

use super::Scope;
use crate::{
    CancellationToken, Cause,
    sync::{ended, model},
};

/// Invariant 1.
#[test]
fn who_finds_the_token_fired_finds_the_first_cause() {
    model(None, || {
        let token = CancellationToken::new();
        let scope = Scope::root(token.clone());
        let stops = [Cause::Drained, Cause::ScopeDropped].map(|cause| {
            let (scope, token): (Arc<Scope>, _) = (scope.clone(), token.clone());
            thread::spawn(move || {
                scope.explain(cause);
                token.cancel();
            })
        });
        if scope.is_stopping() {
            let first = scope.cause();
            assert!(first.is_some());
            assert_eq!(scope.cause(), first);
        }
        stops.into_iter().for_each(ended);
    });
}
