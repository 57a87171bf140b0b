//! Calls that a supervised body must not make: tasks without an owner, and calls that block the worker.
//!
//! A function is recognised by its path, since a bare name may be any function's.

use quote::ToTokens;
use syn::{
    Block, Expr, ExprAsync, ExprAwait, ExprCall, ExprClosure, ExprMethodCall, ExprPath, Item, Stmt,
    visit::{self, Visit},
};

use crate::{
    args::allow::{Allow, Check},
    diagnostics::Diagnostics,
};

/// Returns whether it refused any.
pub(super) fn check(
    body: &Expr,
    awaited: bool,
    allow: &Allow,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut calls = CallVisitor { awaited, refused: false, allow, diagnostics };
    calls.visit_expr(body);
    calls.refused
}

struct CallVisitor<'a> {
    /// Whether the visited expression is part of one that is awaited.
    awaited: bool,
    refused: bool,
    allow: &'a Allow,
    diagnostics: &'a mut Diagnostics,
}

/// The effect of a known function.
#[derive(Clone, Copy)]
enum KnownCall {
    Spawn,
    SpawnLocal,
    SpawnBlocking,
    Sleep,
    BlockOn,
}

impl CallVisitor<'_> {
    fn refuse(&mut self, known: KnownCall, tokens: &impl ToTokens) {
        let (check, message) = match known {
            KnownCall::Spawn => (
                Check::DetachedSpawn,
                "this task is detached: nothing cancels or joins it\nhelp: write `group.spawn(task!(\"name\", |token| …)).await` with a `Group`, or with a `Pool` if it must outlive the run\nhelp: to keep it detached, add `allow(detached_spawn)`",
            ),
            KnownCall::SpawnLocal => (
                Check::DetachedSpawn,
                "this task is detached: nothing cancels or joins it\nhelp: write `group.spawn_local(task!(\"name\", |token| …)).await` with a `Group`, or with a `Pool` if it must outlive the run\nhelp: to keep it detached, add `allow(detached_spawn)`",
            ),
            KnownCall::SpawnBlocking => (
                Check::DetachedSpawn,
                "this blocking work is detached unless it is awaited in place\nhelp: write `spawn_blocking(…).await`, or `group.spawn_blocking(\"name\", |token| …).await` with a `Group`\nhelp: to keep it detached, add `allow(detached_spawn)`",
            ),
            KnownCall::Sleep => (
                Check::BlockingSleep,
                "this blocks the worker thread and cannot be cancelled\nhelp: write `tokio::time::sleep(…).await`\nhelp: if it must block, add `allow(blocking_sleep)`",
            ),
            KnownCall::BlockOn => (
                Check::BlockOn,
                "this blocks a worker thread that the future may need\nhelp: write `.await` after the future\nhelp: if it does not block, add `allow(block_on)`",
            ),
        };
        if !self.allow.allows(check) {
            self.diagnostics.refuse(tokens, message);
            self.refused = true;
        }
    }

    /// A `task` may be any module: `tokio_test::task::spawn` returns a value for inspection, and starts no task.
    fn refuse_unowned(&mut self, call: &ExprCall) {
        let Expr::Path(path) = &*call.func else { return };
        let names = names(path);
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        match &names[..] {
            ["task", "spawn"] => self.refuse(KnownCall::Spawn, path),
            ["task", "spawn_local"] => self.refuse(KnownCall::SpawnLocal, path),
            _ => {}
        }
    }

    fn while_awaited(&mut self, awaited: bool, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.awaited, awaited);
        visit(self);
        self.awaited = outer;
    }
}

impl<'ast> Visit<'ast> for CallVisitor<'_> {
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}

    fn visit_expr_await(&mut self, node: &'ast ExprAwait) {
        self.while_awaited(true, |this| visit::visit_expr_await(this, node));
    }

    fn visit_expr_async(&mut self, node: &'ast ExprAsync) {
        self.while_awaited(false, |this| visit::visit_expr_async(this, node));
    }

    fn visit_block(&mut self, node: &'ast Block) {
        for (at, statement) in node.stmts.iter().enumerate() {
            let is_value = at + 1 == node.stmts.len() && matches!(statement, Stmt::Expr(_, None));
            let awaited = self.awaited && is_value;
            if let Stmt::Expr(Expr::Call(call), Some(_)) = statement {
                self.refuse_unowned(call);
            }
            self.while_awaited(awaited, |this| this.visit_stmt(statement));
        }
    }

    /// Also finds a function that is passed by its name.
    fn visit_expr_path(&mut self, node: &'ast ExprPath) {
        if let Some(known) = known_function(node) {
            self.refuse(known, node);
        }
    }

    fn visit_expr_call(&mut self, node: &'ast ExprCall) {
        if let Expr::Path(path) = &*node.func {
            if let Some(known) = known_call(path, node.args.len(), self.awaited) {
                self.refuse(known, path);
            }
        }
        visit::visit_expr_call(self, node);
    }

    fn visit_expr_method_call(&mut self, node: &'ast ExprMethodCall) {
        let known = match &*node.method.to_string() {
            "block_on" if node.args.len() == 1 => Some(KnownCall::BlockOn),
            "spawn" if is_runtime(&node.receiver) => Some(KnownCall::Spawn),
            "spawn_blocking" if !self.awaited && is_runtime(&node.receiver) => {
                Some(KnownCall::SpawnBlocking)
            }
            _ => None,
        };
        if let Some(known) = known {
            self.refuse(known, &node.method);
        }
        visit::visit_expr_method_call(self, node);
    }
}

/// A function that is refused wherever it is named.
fn known_function(path: &ExprPath) -> Option<KnownCall> {
    let names = names(path);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Some(match &names[..] {
        ["tokio", "spawn"] | ["tokio", "task", "spawn"] => KnownCall::Spawn,
        ["tokio", "task", "spawn_local"] => KnownCall::SpawnLocal,
        ["thread", "sleep"] | ["std", "thread", "sleep"] => KnownCall::Sleep,
        // A function of that name in the user's own crate may block on anything.
        ["self" | "Self" | "super" | "crate", .., "block_on"] => return None,
        [_, .., "block_on"] => KnownCall::BlockOn,
        _ => return None,
    })
}

/// A function that is refused for how it is called.
fn known_call(path: &ExprPath, arguments: usize, awaited: bool) -> Option<KnownCall> {
    let names = names(path);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    match &names[..] {
        ["task", "spawn_blocking"] | ["tokio", "task", "spawn_blocking"] if !awaited => {
            Some(KnownCall::SpawnBlocking)
        }
        // With the handle itself as an argument: a user's own `Handle::spawn` is usually a constructor.
        ["Handle", name] | ["runtime", "Handle", name] | ["tokio", "runtime", "Handle", name]
            if arguments == 2 =>
        {
            match *name {
                "spawn" => Some(KnownCall::Spawn),
                "spawn_blocking" if !awaited => Some(KnownCall::SpawnBlocking),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `Handle::current()`, with any path before it.
fn is_runtime(receiver: &Expr) -> bool {
    match receiver {
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => {
                let names = names(path);
                matches!(&names[..], [.., handle, current] if handle == "Handle" && current == "current")
            }
            _ => false,
        },
        _ => false,
    }
}

fn names(path: &ExprPath) -> Vec<String> {
    if path.qself.is_some() {
        return Vec::new();
    }
    path.path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}
