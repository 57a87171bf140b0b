//! Compiler messages of the runtime: the problem in lower case and without a full stop, and a remedy.
//!
//! `macros/src/testing/refusals.rs` checks those of the macros.

use syn::{
    Attribute, Token,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use super::sources;

/// One `message`, `label` or `note` of `#[diagnostic::on_unimplemented]`.
struct Text {
    key: String,
    value: String,
}

#[derive(Default)]
struct Diagnostics(Vec<Vec<Text>>);

impl<'ast> Visit<'ast> for Diagnostics {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().segments.last().is_some_and(|last| last.ident == "on_unimplemented") {
            let parse = Punctuated::<syn::MetaNameValue, Token![,]>::parse_terminated;
            let pairs = attribute.parse_args_with(parse).expect("pairs of a key and a text");
            let texts = pairs.into_iter().map(|pair| Text {
                key: pair.path.require_ident().expect("a key is a name").to_string(),
                value: text_of(&pair.value),
            });
            self.0.push(texts.collect());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn text_of(value: &syn::Expr) -> String {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => text.value(),
        _ => panic!("a message is a string literal"),
    }
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first == '`' || first.is_lowercase()) && !text.ends_with('.')
}

#[test]
fn trait_diagnostics_name_a_problem_and_a_remedy() {
    let mut found = Diagnostics::default();
    for source in sources::under(sources::RUNTIME) {
        found.visit_file(&source.parsed);
    }
    assert!(found.0.len() >= 6, "only {} diagnostics were found", found.0.len());
    for texts in found.0 {
        let keys: Vec<_> = texts.iter().map(|text| text.key.as_str()).collect();
        assert_eq!(keys, ["message", "label", "note"], "the note is the remedy");
        for Text { key, value } in &texts {
            assert!(
                is_plain(value),
                "`{key}` starts in lower case and has no full stop: {value:?}"
            );
        }
    }
}
