//! The marks of a body: the line of each `.await`, which the run stores before it waits there.
//!
//! ```text
//! Input   let page = client.get(url).await?;
//! Output  __supervised_store(FILE, line!()); let page = client.get(url).await?;
//!
//! Input   while let Some(line) = lines.next().await { … }
//! Output  while let Some(line) = __supervised_at(FILE, line!(), lines.next()).await { … }
//! ```
//!
//! Invariants
//!
//! 1. The user's tokens stay as they are, with their spans. A copy of the body is parsed and marked; then the marks are
//!    woven into the tokens as they were written. If both do not agree token by token, the body stays unmarked.
//!    Otherwise errors would be reported at other places. (`tests/compile/ui`)
//! 2. A mark is a separate statement, or a call that takes the operand and returns it. Neither changes when a temporary
//!    is dropped: `{ store; operand }.await` drops temporaries too early, `(operand, store()).0.await` too late.
//!    (`tests/edition_2021`, `tests/edition_2024`)
//! 3. A statement is marked before it only if no other mark can run between the mark and its `.await`. Otherwise the
//!    line shown would be that of an earlier `.await`. (`tests.rs`, `tests/spec/behaviour/lines.rs`)
//! 4. No block becomes longer if it had one statement, and no statement is inserted behind one that visibly diverges or
//!    before one with attributes: lints read these. Nor is the prelude the first statement of a block: a lint takes a
//!    function that starts with an item for one without code. (`tests/compile/clippy`)
//! 5. A call has the span of its operand, a statement that of the statement it is before. Both have the user's context:
//!    `line!()` from another context is the line of the attribute.
//! 6. No statement is marked before it that may move a part of a variable, such as `self.inner`. The mark is a call, which
//!    may unwind as far as the compiler knows: the rest of the variable would be kept for that, and the whole of it over the
//!    `.await`. The tokens of a macro count as well. (`tests.rs`, `tests/compile/corpus`)
//! 7. Code that is no part of the body's own futures stays unmarked: items, constants, types, patterns. So do the tokens of
//!    a macro: its statement is marked with the line of the macro.

#[cfg(test)]
mod tests;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree, token_stream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Arm, BinOp, Block, Expr, ExprAsync, ExprAwait, ExprBinary, ExprClosure, ExprConst, ExprField,
    ExprMatch, ExprReference, ExprRepeat, ExprUnary, ExprWhile, Item, Macro, Pat, Receiver,
    ReceiverKind, Stmt, Type, UnOp,
    parse::Parser,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

use crate::{
    check::depth,
    syntax::{first_span, last_span, peel_groups},
};

/// A body with its marks.
pub(crate) struct Marked<T> {
    pub(crate) body: T,
    /// What the marks refer to: items for a block around the body.
    pub(crate) prelude: TokenStream,
}

/// Marks each `.await` of a block.
pub(crate) fn block(
    krate: &syn::Path,
    enabled: bool,
    receiver: Option<&Receiver>,
    body: &Group,
) -> Marked<Group> {
    let borrows_self = receiver.is_some_and(|receiver| match &receiver.kind {
        ReceiverKind::Reference(..) => true,
        ReceiverKind::Typed(_, ty) => matches!(peel_groups(ty), Type::Reference(_)),
        _ => false,
    });
    let parse = |stream| {
        let mut statements = Block::parse_within.parse2(stream).ok()?;
        let mut marker = Marker { borrows_self, ..Marker::default() };
        marker.statements(&mut statements, false);
        Some((quote!(#(#statements)*), marker.marks))
    };
    match mark(krate, enabled, body.stream(), parse) {
        Some(Marked { body: stream, prelude }) => {
            let mut marked = Group::new(body.delimiter(), stream);
            marked.set_span(body.span());
            Marked { body: marked, prelude }
        }
        None => Marked { body: body.clone(), prelude: TokenStream::new() },
    }
}

/// Marks each `.await` of the `async` blocks in an expression that makes a future.
pub(crate) fn future(krate: &syn::Path, enabled: bool, body: &Expr) -> Marked<TokenStream> {
    let parse = |stream| {
        let mut body = syn::parse2::<Expr>(stream).ok()?;
        let mut marker = Marker { form: Form::Leave, ..Marker::default() };
        marker.visit_expr_mut(&mut body);
        Some((body.to_token_stream(), marker.marks))
    };
    mark(krate, enabled, body.to_token_stream(), parse)
        .unwrap_or_else(|| Marked { body: body.to_token_stream(), prelude: TokenStream::new() })
}

fn mark(
    krate: &syn::Path,
    enabled: bool,
    written: TokenStream,
    parse: impl FnOnce(TokenStream) -> Option<(TokenStream, Vec<Mark>)>,
) -> Option<Marked<TokenStream>> {
    if !enabled || !mentions_wait(written.clone()) || !depth::fits_parser_stack(written.clone()) {
        return None;
    }
    let (printed, marks) = parse(written.clone())?;
    if marks.is_empty() {
        return None;
    }
    let mut written = written.into_iter();
    let woven = Weaver { marks: &marks }.weave(printed, &mut written)?;
    if written.next().is_some() {
        return None;
    }
    let stores = |mark: &Mark| matches!(mark, Mark::Store { .. } | Mark::Block { .. });
    let store = marks.iter().any(stores).then(store_ident);
    let at = marks.iter().any(|mark| matches!(mark, Mark::Call { .. })).then(at_ident);
    let store =
        store.map(|name| quote!(#[allow(unused_imports)] use #krate::__private::store as #name;));
    let at = at.map(|name| quote!(#[allow(unused_imports)] use #krate::__private::at as #name;));
    let file = file_ident();
    // A `cfg` may remove the code with the marks.
    let prelude = quote! {
        #[allow(dead_code)]
        const #file: #krate::__private::File = #krate::__private::File::of(::core::file!());
        #store
        #at
    };
    Some(Marked { body: woven.tokens.into_iter().collect(), prelude })
}

/// Whether a body may wait: most that do not are not parsed.
fn mentions_wait(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "await" || WAITING.iter().any(|name| ident == name),
        TokenTree::Group(group) => mentions_wait(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn mentions_await(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "await",
        TokenTree::Group(group) => mentions_await(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Macros that wait, though their tokens may have no `.await`.
const WAITING: [&str; 4] = ["join", "select", "select_biased", "try_join"];

/// Macros that make a future or a stream, and wait for nothing themselves.
const MAKING: [&str; 3] = ["stream", "task", "try_stream"];

/// Whether a macro waits where it is called.
pub(crate) fn waits(call: &Macro) -> bool {
    let Some(name) = call.path.segments.last().map(|segment| &segment.ident) else { return false };
    WAITING.iter().any(|known| name == known)
        || !MAKING.iter().any(|known| name == known) && mentions_await(call.tokens.clone())
}

enum Mark {
    /// `store(line);` before a statement.
    Store { line: Span, first: Span, last: Span },
    /// `at(line, operand)`. `peeled` parentheses and invisible groups around the operand are removed, which would be
    /// linted as arguments of a call.
    Call { line: Span, peeled: usize },
    /// `match operand { value => { store(line); value } }`: as an argument, a block of one expression would be linted.
    Block { line: Span, peeled: usize },
}

/// How the `.await`s of the current statement are marked.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Form {
    /// By calls around their operands.
    #[default]
    Call,
    /// Not at all: the statement is marked, or they are no part of the body.
    Leave,
}

/// Puts placeholders into a copy of the body.
#[derive(Default)]
struct Marker {
    marks: Vec<Mark>,
    form: Form,
    /// `self` is a reference, of which no part can be moved.
    borrows_self: bool,
}

impl Marker {
    /// Marks the statements of a block, which is an inner one unless it is the whole body.
    fn statements(&mut self, statements: &mut Vec<Stmt>, is_inner: bool) {
        let is_alone = is_inner && statements.len() == 1;
        let mut diverged = false;
        for mut statement in std::mem::take(statements) {
            let survey = Survey::of(&statement);
            // Before a macro that waits there is no other place.
            let may_precede = !diverged
                && !is_let_else(&statement)
                && (survey.macros > 0 || !MovedParts::any_in(&statement, self.borrows_self));
            let line = survey.line_of_statement(!is_alone).filter(|_| may_precede);
            let mark = line.and_then(|line| self.store(line, &statement));
            let leaves = mark.is_some() && survey.macros == 0;
            statements.extend(mark);
            let form = if leaves { Form::Leave } else { Form::Call };
            self.with_form(form, |this| this.visit_stmt_mut(&mut statement));
            diverged |= diverges(&statement);
            statements.push(statement);
        }
    }

    /// The placeholder before a statement, unless that has attributes: a `cfg` may remove it.
    fn store(&mut self, line: Span, statement: &Stmt) -> Option<Stmt> {
        let tokens = statement.to_token_stream();
        let starts = tokens.clone().into_iter().next();
        if matches!(&starts, Some(TokenTree::Punct(mark)) if mark.as_char() == '#') {
            return None;
        }
        let (first, last) = (first_span(&tokens), last_span(&tokens));
        let name = self.placeholder(Mark::Store { line, first, last });
        Some(syn::parse_quote!(#name!();))
    }

    fn placeholder(&mut self, mark: Mark) -> Ident {
        self.marks.push(mark);
        format_ident!("{PLACEHOLDER}{}", self.marks.len() - 1)
    }

    fn with_form(&mut self, form: Form, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.form, form);
        visit(self);
        self.form = outer;
    }
}

const PLACEHOLDER: &str = "__supervised_mark_";

impl VisitMut for Marker {
    fn visit_block_mut(&mut self, block: &mut Block) {
        self.statements(&mut block.stmts, true);
    }

    fn visit_expr_await_mut(&mut self, node: &mut ExprAwait) {
        visit_mut::visit_expr_await_mut(self, node);
        if self.form == Form::Leave {
            return;
        }
        let line = node.await_token.span;
        let mut peeled = 0;
        let mut operand = std::mem::replace(&mut *node.base, Expr::Verbatim(TokenStream::new()));
        loop {
            operand = match operand {
                Expr::Paren(paren) if paren.attrs.is_empty() => *paren.expr,
                Expr::Group(group) if group.attrs.is_empty() => *group.expr,
                _ => break,
            };
            peeled += 1;
        }
        let mark = if is_lone_expression(&operand) {
            Mark::Block { line, peeled }
        } else {
            Mark::Call { line, peeled }
        };
        let name = self.placeholder(mark);
        *node.base = Expr::Verbatim(quote!(#name(#operand)));
    }

    fn visit_expr_async_mut(&mut self, node: &mut ExprAsync) {
        self.statements(&mut node.block.stmts, true);
    }

    fn visit_expr_closure_mut(&mut self, node: &mut ExprClosure) {
        let form = if node.asyncness.is_some() { Form::Call } else { Form::Leave };
        self.with_form(form, |this| this.visit_expr_mut(&mut node.body));
    }

    fn visit_expr_repeat_mut(&mut self, node: &mut ExprRepeat) {
        self.visit_expr_mut(&mut node.expr);
    }

    fn visit_expr_const_mut(&mut self, _: &mut ExprConst) {}

    fn visit_item_mut(&mut self, _: &mut Item) {}

    fn visit_pat_mut(&mut self, _: &mut Pat) {}

    fn visit_type_mut(&mut self, _: &mut Type) {}
}

fn is_let_else(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Local(local) if local.init.as_ref().is_some_and(|init| init.diverge.is_some()))
}

/// Whether the code behind a statement is visibly unreachable, which the compiler reports at the next statement.
fn diverges(statement: &Stmt) -> bool {
    match statement {
        Stmt::Expr(expression, _) => matches!(
            expression,
            Expr::Return(_) | Expr::Break(_) | Expr::Continue(_) | Expr::Loop(_)
        ),
        Stmt::Macro(statement) => {
            const DIVERGING: [&str; 4] = ["panic", "todo", "unimplemented", "unreachable"];
            let name = statement.mac.path.segments.last();
            name.is_some_and(|name| DIVERGING.iter().any(|known| name.ident == known))
        }
        Stmt::Local(_) | Stmt::Item(_) => false,
    }
}

/// The `.await`s of one statement, outside of its inner blocks, closures and `async` blocks.
#[derive(Default)]
struct Survey {
    awaits: usize,
    /// Calls of macros that wait.
    macros: usize,
    /// The first of both.
    line: Option<Span>,
    /// The statement must not be marked: the first one may not run, or others run before it.
    is_refused: bool,
    /// An inner block before the first one waits.
    waits_before: bool,
    inside_blocks: usize,
    /// Within code that may not run, or runs repeatedly.
    inside_conditional: usize,
}

impl Survey {
    fn of(statement: &Stmt) -> Self {
        let mut survey = Self::default();
        survey.visit_stmt(statement);
        survey
    }

    /// The line to store before the statement, if it may be marked there.
    fn line_of_statement(&self, may_await: bool) -> Option<Span> {
        let is_single = match (self.awaits, self.macros) {
            (1, 0) => may_await,
            (_, 0) => false,
            _ => true,
        };
        self.line.filter(|_| is_single && !self.is_refused)
    }

    /// Returns whether it counts, and is not within an inner block.
    fn found(&mut self, line: Span) -> bool {
        if self.inside_blocks > 0 {
            self.waits_before |= self.line.is_none();
            return false;
        }
        if self.line.is_none() {
            self.line = Some(line);
            self.is_refused = self.waits_before || self.inside_conditional > 0;
        }
        true
    }

    fn conditional(&mut self, visit: impl FnOnce(&mut Self)) {
        self.inside_conditional += 1;
        visit(self);
        self.inside_conditional -= 1;
    }
}

impl<'ast> Visit<'ast> for Survey {
    fn visit_block(&mut self, block: &'ast Block) {
        self.inside_blocks += 1;
        visit::visit_block(self, block);
        self.inside_blocks -= 1;
    }

    fn visit_expr_await(&mut self, node: &'ast ExprAwait) {
        visit::visit_expr_await(self, node);
        if self.found(node.await_token.span) {
            self.awaits += 1;
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if waits(call) && self.found(first_span(&call.path)) {
            self.is_refused |= self.awaits > 0;
            self.macros += 1;
        }
    }

    fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
        self.visit_expr(&node.left);
        if matches!(node.op, BinOp::And(_) | BinOp::Or(_)) {
            self.conditional(|this| this.visit_expr(&node.right));
        } else {
            self.visit_expr(&node.right);
        }
    }

    fn visit_expr_match(&mut self, node: &'ast ExprMatch) {
        self.visit_expr(&node.expr);
        for Arm { body, .. } in &node.arms {
            self.conditional(|this| this.visit_expr(body));
        }
    }

    fn visit_expr_while(&mut self, node: &'ast ExprWhile) {
        self.conditional(|this| this.visit_expr(&node.cond));
        self.visit_block(&node.body);
    }

    fn visit_expr_repeat(&mut self, node: &'ast ExprRepeat) {
        self.visit_expr(&node.expr);
    }

    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}

    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}

    fn visit_expr_const(&mut self, _: &'ast ExprConst) {}

    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_type(&mut self, _: &'ast Type) {}
}

/// Whether a statement may move a part of a variable.
struct MovedParts {
    borrows_self: bool,
    found: bool,
}

impl MovedParts {
    fn any_in(statement: &Stmt, borrows_self: bool) -> bool {
        let mut parts = Self { borrows_self, found: false };
        parts.visit_stmt(statement);
        parts.found
    }
}

/// The variable that an expression is a part of.
fn whole_of(part: &Expr) -> Option<&syn::Path> {
    match part {
        Expr::Field(ExprField { base, .. }) => whole_of(base),
        Expr::Unary(ExprUnary { op: UnOp::Deref(_), expr, .. }) => whole_of(expr),
        Expr::Paren(paren) => whole_of(&paren.expr),
        Expr::Group(group) => whole_of(&group.expr),
        Expr::Path(path) => Some(&path.path),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for MovedParts {
    fn visit_expr(&mut self, node: &'ast Expr) {
        let is_part = matches!(node, Expr::Field(_))
            || matches!(node, Expr::Unary(ExprUnary { op: UnOp::Deref(_), .. }));
        match whole_of(node).filter(|_| is_part) {
            Some(whole) => self.found |= !(self.borrows_self && whole.is_ident("self")),
            None => visit::visit_expr(self, node),
        }
    }

    fn visit_expr_reference(&mut self, node: &'ast ExprReference) {
        if whole_of(&node.expr).is_none() {
            visit::visit_expr_reference(self, node);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let name = call.path.segments.last().map(|segment| &segment.ident);
        let formats = name.is_some_and(|name| name == "format" || name == "format_args");
        self.found |= self.any_in_tokens(call.tokens.clone(), formats);
    }

    fn visit_item(&mut self, _: &'ast Item) {}
}

impl MovedParts {
    /// Whether the tokens of a macro, such as `vec![a.b]`, may move a part of a variable. With `formats` the macro borrows
    /// its own arguments, and only what is in their brackets may move.
    fn any_in_tokens(&self, tokens: TokenStream, formats: bool) -> bool {
        let tokens: Vec<_> = tokens.into_iter().collect();
        // Whether a field that follows is borrowed, or is one of a temporary value.
        let mut stays = true;
        (0..tokens.len()).any(|at| {
            let before = at.checked_sub(1).map(|before| &tokens[before]);
            let (next, after_next) = (tokens.get(at + 1), tokens.get(at + 2));
            match &tokens[at] {
                TokenTree::Group(group) => {
                    stays = true;
                    self.any_in_tokens(group.stream(), false)
                }
                TokenTree::Ident(name) if !is_punct(before, '.') => {
                    let is_borrowed = is_punct(before, '&') || is_ident(before, "mut");
                    stays = formats || is_borrowed || self.borrows_self && name == "self";
                    false
                }
                TokenTree::Punct(dot) if dot.as_char() == '.' => {
                    let is_field = match next {
                        Some(TokenTree::Ident(_)) => {
                            !matches!(after_next, Some(TokenTree::Group(_)))
                                && !is_punct(after_next, ':')
                        }
                        next => matches!(next, Some(TokenTree::Literal(_))),
                    };
                    // Two dots are a range.
                    is_field && !stays && !is_punct(before, '.')
                }
                TokenTree::Punct(star) if star.as_char() == '*' => {
                    let is_deref = matches!(before, None | Some(TokenTree::Punct(_)));
                    let is_own = self.borrows_self && is_ident(next, "self");
                    is_deref && !formats && !is_own && !is_punct(before, '&')
                }
                _ => false,
            }
        })
    }
}

fn is_punct(token: Option<&TokenTree>, char: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

/// Weaves marks into the tokens as they were written.
struct Weaver<'a> {
    marks: &'a [Mark],
}

struct Woven {
    tokens: Vec<TokenTree>,
    has_marks: bool,
}

impl Weaver<'_> {
    /// Takes as many of the written tokens as `printed` has, without its placeholders. `None` if they differ.
    fn weave(&self, printed: TokenStream, written: &mut token_stream::IntoIter) -> Option<Woven> {
        let mut woven = Woven { tokens: Vec::new(), has_marks: false };
        let mut printed = printed.into_iter();
        while let Some(token) = printed.next() {
            if let Some(mark) = self.mark(&token) {
                woven.has_marks = true;
                match *mark {
                    Mark::Store { line, first, last } => {
                        // `!`, `()` and `;`.
                        printed.nth(2)?;
                        woven.tokens.extend(store(line, first, last));
                    }
                    Mark::Call { line, peeled } => {
                        let Some(TokenTree::Group(operand)) = printed.next() else { return None };
                        let operand = self.operand(operand.stream(), peeled, written)?;
                        woven.tokens.extend(call(line, operand));
                    }
                    Mark::Block { line, peeled } => {
                        let Some(TokenTree::Group(operand)) = printed.next() else { return None };
                        let operand = self.operand(operand.stream(), peeled, written)?;
                        woven.tokens.extend(matched(line, operand));
                    }
                }
                continue;
            }
            let token = match (token, written.next()?) {
                (TokenTree::Group(printed), TokenTree::Group(written)) => {
                    if printed.delimiter() != written.delimiter() {
                        return None;
                    }
                    let mut rest = written.stream().into_iter();
                    let inner = self.weave(printed.stream(), &mut rest)?;
                    if rest.next().is_some() {
                        return None;
                    }
                    woven.has_marks |= inner.has_marks;
                    if inner.has_marks {
                        regrouped(&written, inner.tokens).into()
                    } else {
                        written.into()
                    }
                }
                (TokenTree::Ident(printed), TokenTree::Ident(written)) if printed == written => {
                    written.into()
                }
                (TokenTree::Punct(printed), TokenTree::Punct(written))
                    if printed.as_char() == written.as_char() =>
                {
                    written.into()
                }
                (TokenTree::Literal(printed), TokenTree::Literal(written))
                    if printed.to_string() == written.to_string() =>
                {
                    written.into()
                }
                _ => return None,
            };
            woven.tokens.push(token);
        }
        Some(woven)
    }

    fn mark(&self, token: &TokenTree) -> Option<&Mark> {
        let TokenTree::Ident(name) = token else { return None };
        self.marks.get(name.to_string().strip_prefix(PLACEHOLDER)?.parse::<usize>().ok()?)
    }

    /// The operand of an `.await`, out of the groups around it.
    fn operand(
        &self,
        printed: TokenStream,
        peeled: usize,
        written: &mut token_stream::IntoIter,
    ) -> Option<Vec<TokenTree>> {
        let Some(outer) = peeled.checked_sub(1) else {
            return Some(self.weave(printed, written)?.tokens);
        };
        let TokenTree::Group(group) = written.next()? else { return None };
        let mut inner = group.stream().into_iter();
        let operand = self.operand(printed, outer, &mut inner)?;
        inner.next().is_none().then_some(operand)
    }
}

fn regrouped(group: &Group, tokens: Vec<TokenTree>) -> Group {
    let mut regrouped = Group::new(group.delimiter(), tokens.into_iter().collect());
    regrouped.set_span(group.span());
    regrouped
}

/// Whether it is a block of one expression, which `unused_braces` reports as an argument. Any other block is an argument:
/// Clippy reports it where `match` takes it.
fn is_lone_expression(operand: &Expr) -> bool {
    matches!(operand, Expr::Block(block) if matches!(block.block.stmts[..], [Stmt::Expr(_, None)]))
}

/// The operand as an argument, with the span that it had.
fn call(line: Span, operand: Vec<TokenTree>) -> TokenStream {
    let (first, last) = ends(&operand);
    let (at, file, line) =
        (spanned(at_ident(), first), spanned(file_ident(), first), line_at(line));
    let mut arguments = Group::new(Delimiter::Parenthesis, quote!(#file, #line, #(#operand)*));
    arguments.set_span(last);
    quote!(#at #arguments)
}

fn matched(line: Span, operand: Vec<TokenTree>) -> TokenStream {
    let (first, last) = ends(&operand);
    let value = Ident::new("__supervised_operand", Span::mixed_site());
    let store = store(line, first, last);
    let keyword = quote_spanned!(first=> match);
    let mut arm = Group::new(Delimiter::Brace, quote!(#value => { #store #value }));
    arm.set_span(last);
    quote!(#keyword #(#operand)* #arm)
}

fn ends(tokens: &[TokenTree]) -> (Span, Span) {
    let first = tokens.first().map_or_else(Span::call_site, first_span);
    (first, tokens.last().map_or(first, last_span))
}

fn store(line: Span, first: Span, last: Span) -> TokenStream {
    let (store, file, line) =
        (spanned(store_ident(), first), spanned(file_ident(), first), line_at(line));
    let mut arguments = Group::new(Delimiter::Parenthesis, quote!(#file, #line));
    arguments.set_span(last);
    let end = quote_spanned!(last=> ;);
    quote!(#store #arguments #end)
}

/// The line of a place. Each token is there, in the context of the user.
fn line_at(place: Span) -> TokenStream {
    quote_spanned!(place=> ::core::line!())
}

fn spanned(mut ident: Ident, span: Span) -> Ident {
    ident.set_span(span);
    ident
}

fn store_ident() -> Ident {
    Ident::new("__supervised_store", Span::mixed_site())
}

fn at_ident() -> Ident {
    Ident::new("__supervised_at", Span::mixed_site())
}

fn file_ident() -> Ident {
    Ident::new("TOKIO_SUPERVISED_FILE", Span::mixed_site())
}
