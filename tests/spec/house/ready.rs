//! Every public future has a row in the table of `tests/spec/composition/ready.rs`, which drives it in a loop.

use std::collections::BTreeSet;

use syn::{Expr, ExprCall, Lit, visit::Visit};

use super::cancel_safety::awaited;

#[test]
fn every_public_future_is_driven_in_a_loop() {
    let table = syn::parse_file(include_str!("../composition/ready.rs")).expect("it is Rust");
    let mut rows = Rows::default();
    rows.visit_file(&table);
    let missing: Vec<_> = awaited()
        .into_iter()
        .map(|each| each.name)
        .filter(|name| !rows.0.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "without a row in `tests/spec/composition/ready.rs`: {missing:#?}");
}

/// The first arguments of the calls of `row`, without a variant in parentheses.
#[derive(Default)]
struct Rows(BTreeSet<String>);

impl<'ast> Visit<'ast> for Rows {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let is_row = matches!(&*call.func, Expr::Path(called) if called.path.is_ident("row"));
        if let (true, Some(Expr::Lit(literal))) = (is_row, call.args.first()) {
            if let Lit::Str(name) = &literal.lit {
                let name = name.value();
                let operation = name.split(" (").next().unwrap_or(&name);
                self.0.insert(operation.to_owned());
            }
        }
        syn::visit::visit_expr_call(self, call);
    }
}
