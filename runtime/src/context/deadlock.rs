//! Detects self-deadlocks: a run that would wait for a permit or a slot that it holds, or that a run awaiting it holds.
//!
//! The search runs when a wait starts, and refuses the wait: the holder cannot release before the wait is over. It
//! visits the runs of the current task, then the runs that the scopes around it were made in, from the inside out, as
//! far as they are alive: a scope whose task has ended has no known waiter.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    context::stack::{self, StackEntry},
    context::tree::ScopeNode,
    error::{Rejected, Scarce},
    function::TaskSpec,
};

/// An ancestor of the current code.
enum Ancestor<'a> {
    Run { spec: &'static TaskSpec, holds_permit: bool },
    Scope { scope: &'a Arc<ScopeNode>, holds_slot: bool },
}

/// Refuses a wait for a permit of `spec` if the run would deadlock itself.
#[cold]
pub(crate) fn check_permit(spec: &'static TaskSpec) -> Option<Rejected> {
    let limit = spec.limit()?.size();
    let chain = chain_to(
        spec,
        |ancestor| matches!(ancestor, Ancestor::Run { spec: other, holds_permit: true } if std::ptr::eq(*other, spec)),
    )?;
    Some(Rejected::deadlock(spec, limit, chain, Scarce::Permit))
}

/// Refuses a wait for a slot of `scope`, which has `limit` of them, if the run would deadlock itself.
#[cold]
pub(crate) fn check_slot(
    spec: &'static TaskSpec,
    scope: &Arc<ScopeNode>,
    limit: usize,
) -> Option<Rejected> {
    let chain = chain_to(spec, |ancestor| is_slot_of(ancestor, scope))?;
    Some(Rejected::deadlock(spec, limit, chain, Scarce::Slot))
}

/// Like [`check_slot`], for a reserved slot: the run that reserves it waits.
#[cold]
pub(crate) fn check_reservation(scope: &Arc<ScopeNode>, limit: usize) -> Option<Rejected> {
    let chain = chain(|ancestor| is_slot_of(ancestor, scope))?;
    let task = chain.last().copied()?;
    Some(Rejected::deadlock(task, limit, chain.into(), Scarce::Slot))
}

fn is_slot_of(ancestor: &Ancestor<'_>, scope: &Arc<ScopeNode>) -> bool {
    matches!(ancestor, Ancestor::Scope { scope: other, holds_slot: true } if Arc::ptr_eq(other, scope))
}

/// The names from the holding run to the waiting one. `None` if no run holds it.
fn chain_to(
    spec: &'static TaskSpec,
    holds: impl FnMut(&Ancestor<'_>) -> bool,
) -> Option<Box<[&'static str]>> {
    let mut chain = chain(holds)?;
    chain.push(spec.name());
    Some(chain.into())
}

/// Like [`chain_to`], without the waiting run.
fn chain(mut holds: impl FnMut(&Ancestor<'_>) -> bool) -> Option<Vec<&'static str>> {
    let mut names = Vec::new();
    let found = walk_ancestors(|ancestor| {
        if let Ancestor::Run { spec, .. } = &ancestor {
            names.push(spec.name());
        }
        if holds(&ancestor) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    names.reverse();
    found.is_break().then_some(names)
}

fn walk_ancestors(mut visit: impl FnMut(Ancestor<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut scope = None;
    stack::with_entries(|entries| {
        for entry in stack::of_current_task(entries).iter().rev() {
            match entry {
                StackEntry::Run { spec, permit, .. } => {
                    visit(Ancestor::Run { spec, holds_permit: permit.is_held_here() })?;
                }
                StackEntry::Task { record } => {
                    scope = record.as_ref().map(|record| record.scope().clone())
                }
                // A section has neither runs nor slots.
                StackEntry::Section { .. } => {}
            }
        }
        ControlFlow::Continue(())
    })?;
    let mut holds_slot = true;
    while let Some(ancestor) = scope {
        visit(Ancestor::Scope { scope: &ancestor, holds_slot })?;
        // A section is a part of its task: no run made it.
        holds_slot = ancestor
            .outermost_run
            .as_ref()
            .map_or(holds_slot, |outermost_run| outermost_run.strong_count() > 0);
        for run in ancestor.enclosing_runs.iter().rev() {
            let holds_permit = run.holder.as_ref().is_some_and(|holder| holder.strong_count() > 0);
            visit(Ancestor::Run { spec: run.spec, holds_permit })?;
        }
        scope = ancestor.parent();
    }
    ControlFlow::Continue(())
}
