//! The unsupervised examples of the cookbook under the attribute: the body checks that refuse them.
//!
//! The shipped `clippy.toml` reports what syntax cannot show, at each of the nine: `tests/compile/clippy/before.rs`.

use std::{fs, path::Path};

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::{expand, testing::refusals::refusals};

/// An example and each of its async functions, with the start of each refusal, in order.
///
/// A `JoinSet` is a value like any other, and a `Vec` is no visible failure of a return type: the compiler refuses it
/// by its trait, and `clippy.toml` reports the set.
const BEFORES: &[(&str, Functions)] = &[
    ("fetch_all", &[("fetch_all", &[])]),
    ("queue_workers", &[("run", &[DETACHED])]),
    ("flusher", &[("read_and_flush", &[DETACHED])]),
    ("http_saver", &[("save", &[DETACHED]), ("run", &[])]),
    ("stats", &[("count_all", &[NO_FAILURE, DETACHED])]),
    ("pipeline", &[("run", &[DETACHED, DETACHED])]),
    ("service", &[("run", &[DETACHED, DETACHED, DETACHED])]),
    ("panics", &[("averages", &[])]),
    ("tcp_server", &[("serve", &[DETACHED])]),
];

/// Each with the beginnings of its refusals.
type Functions = &'static [(&'static str, &'static [&'static str])];

const DETACHED: &str = "this task is detached: nothing cancels or joins it\n";
const NO_FAILURE: &str = "this return type cannot carry a failure\n";

/// The items between the marks.
fn shown(example: &str) -> Vec<syn::Item> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let path = root.join("tests/compile/cookbook").join(example).join("before.rs");
    let source = fs::read_to_string(&path).expect("the cookbook is readable");
    let (_, from_mark) = source.split_once("// readme\n").expect("it has a mark");
    let (shown, _) = from_mark.split_once("// end\n").expect("it has an end");
    syn::parse_file(shown).expect("it compiles").items
}

#[test]
fn each_unsupervised_cookbook_example_is_refused() {
    for (example, expected) in BEFORES {
        let functions = shown(example).into_iter().filter_map(|item| match item {
            syn::Item::Fn(function) => function.sig.asyncness.map(|_| function),
            _ => None,
        });
        let refused: Vec<_> = functions
            .map(|function| {
                let expanded = expand::supervised(TokenStream::new(), function.to_token_stream());
                (function.sig.ident.to_string(), refusals(expanded))
            })
            .collect();
        let is_expected = refused.len() == expected.len()
            && refused.iter().zip(*expected).all(|((name, refusals), (function, begin))| {
                name == function
                    && refusals.len() == begin.len()
                    && refusals.iter().zip(*begin).all(|(text, begin)| text.starts_with(begin))
            });
        assert!(is_expected, "{example}: {refused:#?}, not {expected:#?}");
    }
}
