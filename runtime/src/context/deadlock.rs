//! Waiting for oneself: a run that would wait for what it, or a run that awaits it, holds.
//!
//! It is looked for when a wait begins, and told instead of suffered: whoever holds what is waited for
//! cannot give it back before the wait is over. Looked at are the runs of this task, then those that the
//! scopes around it were made in, outwards, as far as they are live: behind a task that has ended nobody is known
//! to wait for the scope that it made.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    context::stack::{self, StackEntry},
    context::tree::ScopeNode,
    error::Rejected,
    function::TaskSpec,
};

/// Something around the code that runs now.
enum Ancestor<'a> {
    Run { spec: &'static TaskSpec, holds_permit: bool },
    Scope { scope: &'a Arc<ScopeNode>, holds_slot: bool },
}

/// Whether a wait for a permit of `spec` waits for itself.
#[cold]
pub(crate) fn check_permit(spec: &'static TaskSpec) -> Option<Rejected> {
    let limit = spec.limit()?.size();
    let chain = chain_to(
        spec,
        |ancestor| matches!(ancestor, Ancestor::Run { spec: other, holds_permit: true } if std::ptr::eq(*other, spec)),
    )?;
    Some(Rejected::deadlock_on_permit(spec, limit, chain))
}

/// Whether a wait for a slot of `scope`, which has `limit` of them, waits for itself.
#[cold]
pub(crate) fn check_slot(
    spec: &'static TaskSpec,
    scope: &Arc<ScopeNode>,
    limit: usize,
) -> Option<Rejected> {
    let chain = chain_to(spec, |ancestor| is_slot_of(ancestor, scope))?;
    Some(Rejected::deadlock_on_slot(spec, limit, chain))
}

/// Whether a wait for a slot of `scope` that nothing is known for yet waits for itself; who waits is the run
/// that would reserve it.
#[cold]
pub(crate) fn check_reservation(scope: &Arc<ScopeNode>, limit: usize) -> Option<Rejected> {
    let chain = chain(|ancestor| is_slot_of(ancestor, scope))?;
    let task = chain.last().copied()?;
    Some(Rejected::deadlock_on_slot(task, limit, chain.into()))
}

fn is_slot_of(ancestor: &Ancestor<'_>, scope: &Arc<ScopeNode>) -> bool {
    matches!(ancestor, Ancestor::Scope { scope: other, holds_slot: true } if Arc::ptr_eq(other, scope))
}

/// The names from the one that holds what is waited for to the one that waits; `None` where nobody does.
fn chain_to(
    spec: &'static TaskSpec,
    holds: impl FnMut(&Ancestor<'_>) -> bool,
) -> Option<Box<[&'static str]>> {
    let mut chain = chain(holds)?;
    chain.push(spec.name());
    Some(chain.into())
}

/// The same without the one that waits.
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
                // A section has no runs of its own, and nothing to be waited for.
                StackEntry::Section { .. } => {}
            }
        }
        ControlFlow::Continue(())
    })?;
    let mut holds_slot = true;
    while let Some(ancestor) = scope {
        visit(Ancestor::Scope { scope: &ancestor, holds_slot })?;
        // A section is a part of its task, and made by nobody.
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
