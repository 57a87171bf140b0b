//! A body that hands its token on to the calls that it awaits, never checks it, and awaits something else too.
//!
//! Such a body cooperates, since it takes the token, and nothing in it ends the other `.await`: it is dropped only after
//! its whole grace. Whether that is meant, `on_cancel` says.
//!
//! 1. A body that awaits nothing else is not refused: it ends when its calls do. A future in a variable may be such a
//!    call.
//! 2. Any other use of the token counts as a check: a method call, a binding, a closure, a macro call, an argument of a
//!    call that is not awaited, or of one that makes a scope (`map`, `within`, `Group::new`).

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Expr, ExprAwait, ExprCall, ExprClosure, ExprMethodCall, Item,
    ext::IdentExt,
    visit::{self, Visit},
};

use super::token::{count_uses, may_be_handed_on};
use crate::{diagnostics::Diagnostics, syntax::first_span};

/// Calls that watch the token that they are given.
const SCOPES: [&str; 3] = ["map", "map_stream", "within"];

/// Types whose constructor takes the token that they watch.
const SCOPE_TYPES: [&str; 3] = ["Group", "Pool", "Services"];

/// Whether the tokens of a body leave it open that the check finds something: it is parsed only then.
pub(super) fn is_suspect(body: TokenStream, token: &str) -> bool {
    mentions_await(body.clone()) && may_be_handed_on(body, token)
}

/// Refuses the first `.await` of a call that does not get the token, if the body only hands its token on.
pub(super) fn check(body: &Expr, token: &str, diagnostics: &mut Diagnostics) {
    let mut awaits = AwaitVisitor { token, handed_on: 0, unwatched: None };
    awaits.visit_expr(body);
    let AwaitVisitor { handed_on, unwatched, .. } = awaits;
    let Some(unwatched) = unwatched else { return };
    if handed_on == 0 || handed_on != count_uses(body.to_token_stream(), token) {
        return;
    }
    diagnostics.refuse_at(
        first_span(unwatched),
        format!(
            "the token does not end this `.await`: the body only hands `{token}` on to other calls\nhelp: add `on_cancel = \"drop\"` to drop the body at any `.await`, or `on_cancel = \"cooperate\"` to let it finish within its `grace`"
        ),
    );
}

fn mentions_await(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == "await",
        proc_macro2::TokenTree::Group(group) => mentions_await(group.stream()),
        _ => false,
    })
}

struct AwaitVisitor<'a, 'ast> {
    token: &'a str,
    /// How many times the token is an argument of an awaited call.
    handed_on: usize,
    /// The first awaited expression that does not get the token.
    unwatched: Option<&'ast Expr>,
}

impl<'ast> Visit<'ast> for AwaitVisitor<'_, 'ast> {
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}

    fn visit_expr_await(&mut self, node: &'ast ExprAwait) {
        match self.handed_on_by(&node.base) {
            0 if may_be_watched(&node.base) => {}
            0 => _ = self.unwatched.get_or_insert(&*node.base),
            count => self.handed_on += count,
        }
        visit::visit_expr_await(self, node);
    }
}

impl AwaitVisitor<'_, '_> {
    /// How many times an awaited chain of calls has the token as an argument.
    fn handed_on_by(&self, awaited: &Expr) -> usize {
        match awaited {
            Expr::Call(ExprCall { func, args, .. }) if !makes_scope(func) => self.among(args),
            Expr::MethodCall(ExprMethodCall { receiver, args, .. }) => {
                self.among(args) + self.handed_on_by(receiver)
            }
            Expr::Paren(paren) => self.handed_on_by(&paren.expr),
            Expr::Group(group) => self.handed_on_by(&group.expr),
            _ => 0,
        }
    }

    fn among<'e>(&self, arguments: impl IntoIterator<Item = &'e Expr>) -> usize {
        arguments.into_iter().filter(|argument| self.is_token(argument)).count()
    }

    /// `token`, `&token` or `token.clone()`.
    fn is_token(&self, argument: &Expr) -> bool {
        match argument {
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|ident| ident.unraw() == self.token)
            }
            Expr::Reference(reference) => self.is_token(&reference.expr),
            Expr::Paren(paren) => self.is_token(&paren.expr),
            Expr::Group(group) => self.is_token(&group.expr),
            Expr::MethodCall(call) => call.method == "clone" && self.is_token(&call.receiver),
            _ => false,
        }
    }
}

/// Whether an awaited expression may have the token inside: an `async` block, whose own `.await`s are visited, or a
/// future in a variable.
fn may_be_watched(awaited: &Expr) -> bool {
    match awaited {
        Expr::Async(_) | Expr::Path(_) => true,
        Expr::MethodCall(call) => matches!(*call.receiver, Expr::Async(_)),
        // `#[tracing::instrument]` has put the body into a variable.
        Expr::Call(call) => call.args.iter().any(|argument| {
            matches!(argument, Expr::Path(path) if path.path.get_ident().is_some_and(|ident| {
                ident.to_string().starts_with("__tracing")
            }))
        }),
        Expr::Paren(paren) => may_be_watched(&paren.expr),
        Expr::Group(group) => may_be_watched(&group.expr),
        _ => false,
    }
}

/// Whether a function is known to watch the token that it is given.
fn makes_scope(function: &Expr) -> bool {
    let Expr::Path(path) = function else { return false };
    let segments = &path.path.segments;
    segments.last().is_some_and(|last| SCOPES.iter().any(|name| last.ident == name))
        || segments.iter().any(|each| SCOPE_TYPES.iter().any(|name| each.ident == name))
}
