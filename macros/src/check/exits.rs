//! A loop that never awaits or exits: no token, no timeout and no abort ends it.

use proc_macro2::Span;
use syn::{
    Expr, ExprAsync, ExprAwait, ExprBlock, ExprBreak, ExprCall, ExprClosure, ExprContinue,
    ExprForLoop, ExprIf, ExprLoop, ExprReturn, ExprTry, ExprWhile, ExprYield, Item, Label, Lit,
    Macro,
    visit::{self, Visit},
};

use crate::{
    args::allow::{Allow, Check},
    diagnostics::Diagnostics,
};

/// Refuses each endless loop, but only the innermost: the outer ones are endless because of it.
pub(super) fn check(body: &Expr, allow: &Allow, diagnostics: &mut Diagnostics) {
    if allow.allows(Check::NoExit) {
        return;
    }
    let mut endless = LoopVisitor { found: Vec::new() };
    endless.visit_expr(body);
    for (place, keyword) in endless.found {
        diagnostics.refuse_at(
            place,
            format!(
                "this {keyword} never awaits or exits, so it cannot be cancelled\nhelp: add `tokio::task::yield_now().await`, or leave it with `break`\nhelp: if it must run forever, add `allow(no_exit)`"
            ),
        );
    }
}

struct LoopVisitor {
    found: Vec<(Span, &'static str)>,
}

impl LoopVisitor {
    fn check_loop(&mut self, looped: Loop<'_>, visit_inside: impl FnOnce(&mut Self)) {
        let before = self.found.len();
        visit_inside(self);
        if self.found.len() == before && !looped.can_exit() {
            self.found.push((looped.place, looped.keyword));
        }
    }
}

impl<'ast> Visit<'ast> for LoopVisitor {
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}

    /// Code under `if false` only determines types, and never runs.
    fn visit_expr_if(&mut self, node: &'ast ExprIf) {
        if is_bool(&node.cond, false) {
            if let Some((_, otherwise)) = &node.else_branch {
                self.visit_expr(otherwise);
            }
        } else {
            visit::visit_expr_if(self, node);
        }
    }

    fn visit_expr_loop(&mut self, node: &'ast ExprLoop) {
        let ExprLoop { label, loop_token, body, .. } = node;
        let looped =
            Loop { place: loop_token.span, keyword: "`loop`", label: label.as_ref(), body };
        self.check_loop(looped, |this| visit::visit_expr_loop(this, node));
    }

    fn visit_expr_while(&mut self, node: &'ast ExprWhile) {
        let ExprWhile { label, while_token, cond, body, .. } = node;
        if is_bool(cond, true) {
            let label = label.as_ref();
            let looped = Loop { place: while_token.span, keyword: "`while true`", label, body };
            self.check_loop(looped, |this| visit::visit_expr_while(this, node));
        } else {
            visit::visit_expr_while(self, node);
        }
    }
}

fn is_bool(condition: &Expr, wanted: bool) -> bool {
    match condition {
        Expr::Lit(literal) => matches!(&literal.lit, Lit::Bool(value) if value.value == wanted),
        Expr::Paren(paren) => is_bool(&paren.expr, wanted),
        Expr::Group(group) => is_bool(&group.expr, wanted),
        _ => false,
    }
}

struct Loop<'a> {
    place: Span,
    keyword: &'static str,
    label: Option<&'a Label>,
    body: &'a syn::Block,
}

impl Loop<'_> {
    fn can_exit(&self) -> bool {
        let mut exits =
            ExitVisitor { own: self.label, labels: Vec::new(), loops_inside: 0, found: false };
        exits.visit_block(self.body);
        exits.found
    }
}

/// Searches for code that exits a loop, or awaits.
struct ExitVisitor<'ast> {
    own: Option<&'ast Label>,
    /// Labels declared inside the loop: a `break` to one of them stays in the loop.
    labels: Vec<&'ast Label>,
    loops_inside: usize,
    found: bool,
}

impl<'ast> ExitVisitor<'ast> {
    fn is_inside(&self, label: &syn::Lifetime) -> bool {
        self.labels.iter().any(|inside| inside.name.ident == label.ident)
    }

    fn inside(&mut self, label: Option<&'ast Label>, loops: usize, visit: impl FnOnce(&mut Self)) {
        let known = self.labels.len();
        self.labels.extend(label);
        self.loops_inside += loops;
        visit(self);
        self.loops_inside -= loops;
        self.labels.truncate(known);
    }
}

impl<'ast> Visit<'ast> for ExitVisitor<'ast> {
    // None of these exits the loop that contains it.
    fn visit_item(&mut self, _: &'ast Item) {}
    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}
    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}

    fn visit_expr_await(&mut self, _: &'ast ExprAwait) {
        self.found = true;
    }

    fn visit_expr_return(&mut self, _: &'ast ExprReturn) {
        self.found = true;
    }

    fn visit_expr_try(&mut self, _: &'ast ExprTry) {
        self.found = true;
    }

    fn visit_expr_yield(&mut self, _: &'ast ExprYield) {
        self.found = true;
    }

    // A macro may do any of these.
    fn visit_macro(&mut self, _: &'ast Macro) {
        self.found = true;
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        // So may syntax that the parser does not know.
        self.found |= matches!(node, Expr::Verbatim(_));
        visit::visit_expr(self, node);
    }

    fn visit_expr_break(&mut self, node: &'ast ExprBreak) {
        self.found |= match &node.label {
            Some(label) => !self.is_inside(label),
            None => self.loops_inside == 0,
        };
        visit::visit_expr_break(self, node);
    }

    fn visit_expr_continue(&mut self, node: &'ast ExprContinue) {
        self.found |= node.label.as_ref().is_some_and(|label| {
            let is_own = self.own.is_some_and(|own| own.name.ident == label.ident);
            !is_own && !self.is_inside(label)
        });
    }

    fn visit_expr_call(&mut self, node: &'ast ExprCall) {
        self.found |= never_returns(&node.func);
        visit::visit_expr_call(self, node);
    }

    fn visit_expr_loop(&mut self, node: &'ast ExprLoop) {
        self.inside(node.label.as_ref(), 1, |this| visit::visit_expr_loop(this, node));
    }

    fn visit_expr_while(&mut self, node: &'ast ExprWhile) {
        self.inside(node.label.as_ref(), 1, |this| visit::visit_expr_while(this, node));
    }

    fn visit_expr_for_loop(&mut self, node: &'ast ExprForLoop) {
        self.inside(node.label.as_ref(), 1, |this| visit::visit_expr_for_loop(this, node));
    }

    fn visit_expr_block(&mut self, node: &'ast ExprBlock) {
        self.inside(node.label.as_ref(), 0, |this| visit::visit_expr_block(this, node));
    }
}

/// The functions of the standard library that never return, by the last segment of their path.
fn never_returns(function: &Expr) -> bool {
    const NAMES: [&str; 5] =
        ["abort", "exit", "panic_any", "resume_unwind", "unreachable_unchecked"];
    match function {
        Expr::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| NAMES.iter().any(|name| last.ident == name)),
        _ => false,
    }
}
