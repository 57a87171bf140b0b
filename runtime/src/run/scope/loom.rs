use std::sync::{Arc, Weak};

use loom::thread;

use super::{
    super::alarm::{Alarm, Wakes},
    Scope,
};
use crate::{
    CancellationToken, Cause,
    sync::{ended, model},
};

/// Invariant 1.
#[test]
fn who_finds_the_token_fired_finds_the_first_cause() {
    model(Some(3), || {
        let token = CancellationToken::new();
        let scope = Scope::root(token.clone());
        let stops = [Cause::Drained, Cause::ScopeDropped].map(|cause| {
            let (scope, token): (Arc<Scope>, _) = (scope.clone(), token.clone());
            thread::spawn(move || {
                scope.cancel(cause, || token.cancel());
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

struct Nobody;

impl Wakes for Nobody {
    fn wake_tasks(&self) {}
}

/// Invariant 4.
#[test]
fn who_hears_the_alarm_of_an_inner_scope_finds_the_cause_of_the_outer_one() {
    model(None, || {
        let token = CancellationToken::new();
        let outer = Scope::root(token.clone());
        let inner_token = token.child_token();
        let inner = Scope::root(inner_token.clone());
        let nobody: Arc<Nobody> = Arc::new(Nobody);
        let weak: Weak<Nobody> = Arc::downgrade(&nobody);
        let alarm = Alarm::new(&inner_token, &inner, weak);
        let cancels = thread::spawn(move || {
            outer.cancel(Cause::Drained, || token.cancel());
            // Nothing holds the outer scope from now on.
        });
        if alarm.has_rung() {
            assert_eq!(inner.cause(), Some(Cause::Drained));
        }
        ended(cancels);
        assert_eq!(inner.cause(), Some(Cause::Drained));
    });
}
