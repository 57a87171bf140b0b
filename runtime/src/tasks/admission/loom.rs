use std::sync::Arc;

use loom::{future::block_on, thread};

use crate::tasks::admission::{Admission, Refusal, Slots};
use crate::{
    context::tree::ScopeNode,
    function::Policy,
    function::limit::Limit,
    function::loom::spec as model_spec,
    sync::{join, model},
};
use tokio_util::sync::CancellationToken;

/// Invariant 1: loom fails if all threads wait.
#[test]
fn two_scopes_and_one_function_do_not_block_each_other() {
    model(Some(1), || {
        let spec = model_spec(Policy::DEFAULT.limit(1));
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let [one, other] = [(); 2].map(|()| Arc::new(Slots::bounded(1)));
        let spawns = |slots: &Arc<Slots>| {
            let (slots, scope, token) = (slots.clone(), scope.clone(), token.clone());
            move || {
                let admission = block_on(slots.admit(spec, &scope, &token)).ok();
                release(admission.expect("the token does not fire"));
            }
        };
        let others = [&one, &other].map(|slots| thread::spawn(spawns(slots)));
        spawns(&one)();
        others.into_iter().for_each(join);
        for slots in [one, other] {
            assert!(slots.try_admit(spec).is_some(), "all of it has come back");
        }
    });
}

/// Invariant 1: a slot is not held for a permit for ever.
#[test]
fn a_slot_is_free_while_its_spawn_waits_for_a_permit() {
    model(Some(3), || {
        let spec = model_spec(Policy::DEFAULT.limit(1));
        let unlimited = model_spec(Policy::DEFAULT);
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let slots = Arc::new(Slots::bounded(1));
        let held = slots.try_acquire_slot();
        let waits = thread::spawn({
            let (slots, scope, token) = (slots.clone(), scope.clone(), token.clone());
            move || drop(block_on(slots.admit(spec, &scope, &token)))
        });
        let permit = block_on(Limit::acquire(limit(spec)));
        drop(held);
        // The permit comes back only after this.
        let admitted = block_on(slots.admit(unlimited, &scope, &token));
        assert!(admitted.is_ok());
        drop(admitted);
        drop(permit);
        join(waits);
    });
}

/// Invariant 1: a permit is not held for a slot for ever.
#[test]
fn a_permit_is_free_while_its_spawn_waits_for_a_slot() {
    model(Some(2), || {
        let spec = model_spec(Policy::DEFAULT.limit(1));
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let slots = Arc::new(Slots::bounded(1));
        let held = slots.try_acquire_slot();
        let waits = thread::spawn({
            let slots = slots.clone();
            move || drop(block_on(slots.admit(spec, &scope, &token)))
        });
        // The slot comes back only after this.
        drop(block_on(Limit::acquire(limit(spec))));
        drop(held);
        join(waits);
    });
}

/// Whichever of the two is waited for.
#[test]
fn a_token_that_fires_ends_the_wait() {
    model(Some(3), || {
        let spec = model_spec(Policy::DEFAULT.limit(1));
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let slots = Arc::new(Slots::bounded(1));
        let held = slots.try_acquire_slot();
        let fires = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let admitted = block_on(slots.admit(spec, &scope, &token));
        assert!(matches!(admitted, Err(Refusal::Cancelled)));
        drop(held);
        join(fires);
        assert!(slots.try_admit(spec).is_some(), "all of it has come back");
    });
}

#[test]
fn a_release_while_the_token_fires_loses_nothing() {
    model(Some(3), || {
        let spec = model_spec(Policy::DEFAULT.limit(1));
        let token = CancellationToken::new();
        let scope = ScopeNode::root(token.clone());
        let slots = Arc::new(Slots::bounded(1));
        let held = slots.try_admit(spec).expect("nobody else has any of it");
        let fires = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let waits = thread::spawn({
            let slots = slots.clone();
            move || {
                let admitted = block_on(slots.admit(spec, &scope, &token));
                assert!(matches!(admitted, Ok(_) | Err(Refusal::Cancelled)));
            }
        });
        release(held);
        join(fires);
        join(waits);
        assert!(slots.try_admit(spec).is_some(), "all of it has come back");
    });
}

fn limit(spec: &'static crate::function::TaskSpec) -> &'static Limit {
    spec.limit().expect("it has one")
}

/// As a task that ends: the permit is the run's, and the slot comes back after it.
fn release(Admission { slot, permit }: Admission) {
    assert!(slot.is_some() && permit.is_some());
    drop(permit);
    drop(slot);
}
