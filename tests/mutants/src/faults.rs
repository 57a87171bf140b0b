//! The faults of one file, as text that is inserted into it.
//!
//! Invariants
//!
//! 1. Text is inserted and none is removed, and none has a line break: line numbers do not change.
//! 2. With no fault enabled, every expression is evaluated as written, once and in order.

use std::{cmp::Reverse, ops::Range};

use quote::ToTokens;
use syn::{
    Attribute, BinOp, Expr, ReturnType, Signature, Stmt, Type,
    spanned::Spanned,
    visit::{self, Visit},
};

/// A fault: its number is its index in the list of all.
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) what: String,
}

struct Insertion {
    around: Range<usize>,
    before: String,
    after: String,
}

/// Finds the faults of a file, numbered from `first`, and inserts them.
pub(crate) fn put_into(text: &str, first: usize, passed_over: &[usize]) -> (String, Vec<Fault>) {
    let file = syn::parse_file(text).expect("a source file parses");
    let mut finder = Finder {
        text,
        first,
        passed_over,
        faults: Vec::new(),
        insertions: Vec::new(),
        of: String::new(),
    };
    finder.visit_file(&file);
    let Finder { faults, insertions, .. } = finder;
    (insert(text, &insertions), faults)
}

/// Enclosing text is inserted before and after; at one place, ends come before starts.
fn insert(text: &str, insertions: &[Insertion]) -> String {
    let mut pieces = Vec::new();
    for (number, Insertion { around, before, after }) in insertions.iter().enumerate() {
        let (start, end) = (around.start, around.end);
        pieces.push(((start, 1, Reverse(end), number), before));
        pieces.push(((end, 0, Reverse(start), usize::MAX - number), after));
    }
    pieces.sort_by_key(|(place, _)| *place);
    let mut made = String::new();
    let mut at = 0;
    for ((place, ..), piece) in pieces {
        made.push_str(&text[at..place]);
        made.push_str(piece);
        at = place;
    }
    made + &text[at..]
}

struct Finder<'t> {
    text: &'t str,
    first: usize,
    /// Lines at which no fault compiles.
    passed_over: &'t [usize],
    faults: Vec<Fault>,
    insertions: Vec<Insertion>,
    /// The function that is visited.
    of: String,
}

impl Finder<'_> {
    /// The text of a piece on one line; `None` if a comment would swallow the rest.
    fn one_line(&self, of: &impl Spanned) -> Option<String> {
        let text = &self.text[of.span().byte_range()];
        (!text.contains("//")).then(|| text.replace('\n', " "))
    }

    /// The condition that enables a fault; `None` if it is known not to compile.
    fn fault(&mut self, line: usize, what: &str) -> Option<String> {
        if self.passed_over.contains(&line) {
            return None;
        }
        let number = self.first + self.faults.len();
        self.faults.push(Fault { line, what: format!("{what} in {}", self.of) });
        Some(format!("crate::mutants::on({number})"))
    }

    fn wrap(&mut self, around: Range<usize>, before: String, after: &str) {
        self.insertions.push(Insertion { around, before, after: after.to_owned() });
    }

    fn function(&mut self, signature: &Signature, body: &syn::Block) {
        let (Some(first), None) = (body.stmts.first(), signature.constness) else { return };
        self.of = signature.ident.to_string();
        let line = signature.ident.span().start().line;
        for value in instead(&signature.output) {
            let value_text = if value.is_empty() { "()" } else { value };
            if let Some(on) = self.fault(line, &format!("give {value_text}")) {
                let at = first.span().byte_range().start;
                self.wrap(at..at, format!("if {on} {{ return {value}; }} "), "");
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !of_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item.sig.constness.is_none() && !of_tests(&item.attrs) {
            self.function(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_debug = item.trait_.as_ref().is_some_and(|(path, _)| {
            path.segments.last().is_some_and(|segment| segment.ident == "Debug")
        });
        if !is_debug && !of_tests(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.sig.constness.is_none() && !of_tests(&item.attrs) {
            self.function(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}

    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}

    fn visit_type(&mut self, _: &'ast Type) {}

    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_repeat(&mut self, _: &'ast syn::ExprRepeat) {}

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let is_let = |side: &Expr| matches!(side, Expr::Let(_));
        let sides = (self.one_line(&binary.left), self.one_line(&binary.right));
        if let (Some(mut left), Some(right)) = sides {
            // `as u64 <` would start a list of types.
            if matches!(*binary.left, Expr::Cast(_)) {
                left = format!("({left})");
            }
            if !is_let(&binary.left) && !is_let(&binary.right) {
                let own = binary.op.to_token_stream().to_string();
                let line = binary.op.span().start().line;
                let mut before = String::new();
                for other in others(&binary.op) {
                    let Some(on) = self.fault(line, &format!("{other} for {own}")) else { break };
                    let open = if before.is_empty() { "(" } else { "" };
                    before += &format!("{open}if {on} {{ {left} {other} {right} }} else ");
                }
                if !before.is_empty() {
                    self.wrap(binary.span().byte_range(), before + "{ ", " })");
                }
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, syn::UnOp::Not(_)) {
            let line = unary.op.span().start().line;
            if let Some(inner) = self.one_line(&unary.expr)
                && let Some(on) = self.fault(line, "no !")
            {
                let before = format!("(if {on} {{ {inner} }} else {{ ");
                self.wrap(unary.span().byte_range(), before, " })");
            }
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, all: &'ast syn::ExprMatch) {
        let catches_all = |arm: &syn::Arm| matches!(arm.pat, syn::Pat::Wild(_));
        let has_wild = all.arms.last().is_some_and(catches_all);
        for arm in &all.arms {
            let line = arm.pat.span().start().line;
            if let syn::Pat::Guard(syn::PatGuard { guard, .. }) = &arm.pat {
                if matches!(**guard, Expr::Let(_)) {
                    continue;
                }
                let Some(always) = self.fault(line, "a guard that is true") else { continue };
                let Some(never) = self.fault(line, "a guard that is false") else { continue };
                let before = format!("({always} || !{never} && (");
                self.wrap(guard.span().byte_range(), before, "))");
            } else if has_wild
                && !catches_all(arm)
                && let Some(on) = self.fault(line, "an arm is missing")
            {
                let end = arm.pat.span().byte_range().end;
                self.wrap(end..end, format!(" if !{on}"), "");
            }
        }
        visit::visit_expr_match(self, all);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        // Code under `cfg` is skipped.
        if let Stmt::Local(local) = statement
            && of_tests(&local.attrs)
        {
            return;
        }
        visit::visit_stmt(self, statement);
    }
}

pub(crate) fn of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string();
        let prefixes = ["cfg (test)", "cfg (all (test", "cfg (any (test"];
        text == "test" || prefixes.iter().any(|prefix| text.starts_with(prefix))
    })
}

/// Replacement results of a function, by its return type.
fn instead(output: &ReturnType) -> &'static [&'static str] {
    let ReturnType::Type(_, of) = output else { return &[""] };
    let of = of.to_token_stream().to_string().replace(' ', "");
    match of.as_str() {
        "bool" => &["true", "false"],
        "usize" | "u64" | "u32" | "u16" | "u8" | "i32" | "i64" => &["0", "1"],
        "f64" => &["0.0", "1.0"],
        "fmt::Result" | "io::Result<()>" => &["Ok(())"],
        "Duration" => &["Default::default()"],
        "String" => &["String::new()"],
        "&str" | "&'staticstr" => &["\"\""],
        of if of.starts_with("Option<") => &["None"],
        of if of.starts_with("Vec<") => &["Vec::new()"],
        of if of.starts_with("Result<(),") => &["Ok(())"],
        _ => &[],
    }
}

fn others(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Lt(_) => &["==", ">", "<="],
        BinOp::Gt(_) => &["==", "<", ">="],
        BinOp::Le(_) => &[">"],
        BinOp::Ge(_) => &["<"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["&", "|"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) => &["+=", "/="],
        BinOp::DivAssign(_) => &["%=", "*="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> (String, Vec<String>) {
        let (made, faults) = put_into(text, 7, &[]);
        (made, faults.into_iter().map(|fault| fault.what).collect())
    }

    #[test]
    fn an_operator_is_replaced_on_request() {
        let (made, faults) = put("fn f() -> T { a == b }");
        assert_eq!(made, "fn f() -> T { (if crate::mutants::on(7) { a != b } else { a == b }) }");
        assert_eq!(faults, ["!= for == in f"]);
    }

    #[test]
    fn nested_operators_have_one_fault_each() {
        let (made, faults) = put("fn f() -> T { a && !b }");
        assert_eq!(faults, ["|| for && in f", "no ! in f"]);
        assert_eq!(
            made,
            "fn f() -> T { (if crate::mutants::on(7) { a || !b } else { a && \
             (if crate::mutants::on(8) { b } else { !b }) }) }"
        );
    }

    #[test]
    fn constants_and_tests_are_unchanged() {
        for text in [
            "const fn f() -> bool { 1 < 2 }",
            "const A: bool = 1 < 2;",
            "#[cfg(test)] mod tests { fn f() -> bool { a < b } }",
            "#[test] fn f() { assert(a < b) }",
        ] {
            assert_eq!(put(text), (text.to_owned(), vec![]));
        }
    }

    #[test]
    fn a_skipped_line_has_no_fault() {
        let text = "fn f() -> T {\n a == b\n}";
        assert_eq!(put_into(text, 0, &[2]).0, text);
    }
}
