use std::sync::Arc;

use loom::future::block_on;

use crate::tasks::admission::{Admission, Refusal, Slots};
use crate::{
    context::tree::ScopeNode,
    function::limit::Limit,
    function::loom::spec as model_spec,
    function::{Policy, TaskSpec},
    sync::{join, model, spawn},
};
use tokio_util::sync::CancellationToken;

/// A function with one permit, and a scope with one slot.
#[derive(Clone)]
struct Scene {
    spec: &'static TaskSpec,
    token: CancellationToken,
    scope: Arc<ScopeNode>,
    slots: Arc<Slots>,
}

impl Scene {
    fn new() -> Self {
        let token = CancellationToken::new();
        Self {
            spec: model_spec(Policy::DEFAULT.limit(1)),
            scope: ScopeNode::root(token.clone()),
            token,
            slots: Arc::new(Slots::bounded(1)),
        }
    }

    fn admit(&self) -> Result<Admission<'_>, Refusal> {
        block_on(self.slots.admit(self.spec, &self.scope, &self.token))
    }

    /// Fails if a slot or a permit was lost.
    fn all_is_free(&self) {
        assert!(self.slots.try_admit(self.spec).is_some(), "the slot and the permit were released");
    }
}

/// Invariant 1: loom fails if all threads wait.
#[test]
fn two_scopes_and_one_function_do_not_block_each_other() {
    model(Some(1), || {
        let one = Scene::new();
        let other = Scene { slots: Arc::new(Slots::bounded(1)), ..one.clone() };
        let admit_and_release = |scene: Scene| {
            release(scene.admit().ok().expect("the token does not fire"));
        };
        let others = [&one, &other].map(|scene| spawn(scene, admit_and_release));
        admit_and_release(one.clone());
        others.into_iter().for_each(join);
        one.all_is_free();
        other.all_is_free();
    });
}

/// Invariant 1: a spawn that waits for a permit does not hold its slot for ever.
#[test]
fn a_slot_is_free_while_its_spawn_waits_for_a_permit() {
    model(Some(3), || {
        let scene = Scene::new();
        let unlimited = Scene { spec: model_spec(Policy::DEFAULT), ..scene.clone() };
        let held = scene.slots.try_acquire_slot();
        let waits = spawn(&scene, |scene| drop(scene.admit()));
        let permit = block_on(Limit::acquire(limit(scene.spec)));
        drop(held);
        // The permit is released only after this.
        let admitted = unlimited.admit();
        assert!(admitted.is_ok());
        drop(admitted);
        drop(permit);
        join(waits);
    });
}

/// Invariant 1: a spawn that waits for a slot does not hold its permit for ever.
#[test]
fn a_permit_is_free_while_its_spawn_waits_for_a_slot() {
    model(Some(2), || {
        let scene = Scene::new();
        let held = scene.slots.try_acquire_slot();
        let waits = spawn(&scene, |scene| drop(scene.admit()));
        // The slot is released only after this.
        drop(block_on(Limit::acquire(limit(scene.spec))));
        drop(held);
        join(waits);
    });
}

/// Whether it waits for the slot or for the permit.
#[test]
fn a_token_that_fires_ends_the_wait() {
    model(Some(3), || {
        let scene = Scene::new();
        let held = scene.slots.try_acquire_slot();
        let fires = spawn(&scene.token, |token| token.cancel());
        let admitted = scene.admit();
        assert!(matches!(admitted, Err(Refusal::Cancelled)));
        drop(held);
        join(fires);
        scene.all_is_free();
    });
}

#[test]
fn a_release_while_the_token_fires_loses_nothing() {
    model(Some(3), || {
        let scene = Scene::new();
        let held = scene.slots.try_admit(scene.spec).expect("the slot and the permit are free");
        let fires = spawn(&scene.token, |token| token.cancel());
        let waits = spawn(&scene, |scene| {
            let admitted = scene.admit();
            assert!(matches!(admitted, Ok(_) | Err(Refusal::Cancelled)));
        });
        release(held);
        join(fires);
        join(waits);
        scene.all_is_free();
    });
}

fn limit(spec: &'static TaskSpec) -> &'static Limit {
    spec.limit().expect("the function has a limit")
}

/// Releases both in the order of a task that ends: the run drops its permit first, then the slot is released.
fn release(Admission { slot, permit }: Admission<'_>) {
    assert!(slot.is_some() && permit.is_some());
    drop(permit);
    drop(slot);
}
