//! How many `.await`s of real functions get a mark.

use std::{collections::BTreeMap, fmt};

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, ExprAwait, ExprClosure, ExprConst, ExprRepeat, Item, ItemFn, Macro, Pat, Type,
    visit::{self, Visit},
};

use crate::emit::lines;

/// The `.await`s of many functions, and the macros that wait.
#[derive(Default)]
pub(crate) struct Lines {
    awaits: usize,
    /// Calls of macros such as `select!`, and of those whose tokens have an `.await`.
    macros: usize,
    marks: usize,
    /// Why others have no mark.
    unmarked: BTreeMap<&'static str, usize>,
}

impl Lines {
    pub(crate) fn add(&mut self, function: &ItemFn) {
        let mut count = Count::default();
        count.visit_block(&function.block);
        let krate = syn::parse_quote!(::tokio_supervised);
        let Some(body) = body(function) else { return };
        let marks = marks(lines::block(&krate, true, function.sig.receiver(), &body).body.stream());
        self.awaits += count.awaits;
        self.macros += count.macros;
        self.marks += marks;
        let unmarked = (count.awaits + count.macros).saturating_sub(marks);
        let reason = match unmarked {
            0 => return,
            _ if marks == 0 && count.awaits > 0 => "the body is printed differently",
            _ if unmarked <= count.macros => "a macro in a place for an expression only",
            _ => "others",
        };
        *self.unmarked.entry(reason).or_default() += unmarked;
    }

    /// The share of `.await`s and macros without a mark.
    pub(crate) fn unmarked(&self) -> f64 {
        let unmarked: usize = self.unmarked.values().sum();
        unmarked as f64 / (self.awaits + self.macros).max(1) as f64
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { awaits, macros, marks, unmarked } = self;
        let share = 100.0 * self.unmarked();
        writeln!(
            f,
            "{awaits} awaits, {macros} macros that wait, {marks} marks, {share:.2} % unmarked"
        )?;
        for (reason, count) in unmarked {
            writeln!(f, "{count:6} unmarked: {reason}")?;
        }
        Ok(())
    }
}

/// The body as its tokens.
pub(crate) fn body(function: &ItemFn) -> Option<Group> {
    match function.block.to_token_stream().into_iter().next() {
        Some(TokenTree::Group(body)) => Some(body),
        _ => None,
    }
}

fn marks(tokens: TokenStream) -> usize {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let own = tokens.windows(2).filter(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Group(_)] => {
            ["__supervised_at", "__supervised_store"].iter().any(|mark| name == mark)
        }
        _ => false,
    });
    let own = own.count();
    let inner = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => marks(group.stream()),
        _ => 0,
    });
    own + inner.sum::<usize>()
}

#[derive(Default)]
struct Count {
    awaits: usize,
    macros: usize,
}

impl<'ast> Visit<'ast> for Count {
    fn visit_expr_await(&mut self, node: &'ast ExprAwait) {
        self.awaits += 1;
        visit::visit_expr_await(self, node);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.macros += usize::from(lines::waits(call));
    }

    /// An `.await` of a closure that is not async does not compile; one in an `async` block inside is marked.
    fn visit_expr_closure(&mut self, node: &'ast ExprClosure) {
        if node.asyncness.is_some() || matches!(*node.body, Expr::Async(_) | Expr::Block(_)) {
            visit::visit_expr_closure(self, node);
        }
    }

    fn visit_expr_repeat(&mut self, node: &'ast ExprRepeat) {
        self.visit_expr(&node.expr);
    }

    fn visit_expr_const(&mut self, _: &'ast ExprConst) {}

    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_type(&mut self, _: &'ast Type) {}
}
