//! The cases of `tests/ui` without a compiler: code that is refused there is refused here, in the same words.
//!
//! There each case takes a build, and checks the position of a message; here a mistake in a refusal is found at once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, visit::Visit};

use crate::{expand, testing::refusals::refusals};

/// Cases in which the compiler reports an error too, or another attribute or macro is expanded before ours.
const NOT_OURS_ALONE: &[&str] = &[
    "cases/lints/",
    "async_trait_around",
    "body/not_send_where_a_trait_promises_it",
    "combination/an_instrument_below",
    "combination/from_a_macro_by_example",
    "item/tokio_main_above",
    "limit/too_large",
    "pool/a_future_that_is_not_send",
    "restart/not_send_where_it_is_spawned",
];

/// The refusals in a file, in no order.
struct Refusals(Vec<String>);

impl Refusals {
    fn of(source: &syn::File) -> Vec<String> {
        let mut found = Self(Vec::new());
        found.visit_file(source);
        found.0.sort();
        found.0
    }

    /// Expands the item under one of our attributes. Returns whether there was one.
    fn expand(
        &mut self,
        attributes: &[Attribute],
        item: &dyn Fn(&[Attribute]) -> TokenStream,
    ) -> bool {
        let is_ours = |attribute: &Attribute| {
            let path = attribute.path();
            let words: Vec<_> = path.segments.iter().map(|each| each.ident.to_string()).collect();
            words.iter().any(|word| word == "supervised")
        };
        let Some(at) = attributes.iter().position(is_ours) else { return false };
        let (before, ours) = attributes.split_at(at);
        let (ours, after) = ours.split_first().expect("the attribute exists");
        let arguments = match &ours.meta {
            syn::Meta::List(list) => list.tokens.clone(),
            syn::Meta::NameValue(pair) => {
                let value = &pair.value;
                quote!(= #value)
            }
            syn::Meta::Path(_) => TokenStream::new(),
        };
        let item = item(&[before, after].concat());
        let last = ours.path().segments.last().expect("a path is not empty").ident.to_string();
        self.add(match last.as_str() {
            "main" => expand::main(arguments, item),
            "test" => expand::test(arguments, item, true),
            _ => expand::supervised(arguments, item),
        });
        true
    }

    fn add(&mut self, expanded: TokenStream) {
        self.0.extend(refusals(expanded));
    }
}

impl<'ast> Visit<'ast> for Refusals {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[_] = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Trait(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            _ => &[],
        };
        let without = |left: &[Attribute]| {
            let mut item = item.clone();
            match &mut item {
                syn::Item::Fn(item) => item.attrs = left.to_vec(),
                syn::Item::Struct(item) => item.attrs = left.to_vec(),
                syn::Item::Impl(item) => item.attrs = left.to_vec(),
                syn::Item::Trait(item) => item.attrs = left.to_vec(),
                syn::Item::Mod(item) => item.attrs = left.to_vec(),
                syn::Item::Const(item) => item.attrs = left.to_vec(),
                syn::Item::Enum(item) => item.attrs = left.to_vec(),
                _ => {}
            }
            item.into_token_stream()
        };
        if !self.expand(attributes, &without) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        let without = |left: &[Attribute]| {
            syn::ImplItemFn { attrs: left.to_vec(), ..method.clone() }.into_token_stream()
        };
        if !self.expand(&method.attrs, &without) {
            syn::visit::visit_impl_item_fn(self, method);
        }
    }

    fn visit_trait_item_fn(&mut self, method: &'ast syn::TraitItemFn) {
        let without = |left: &[Attribute]| {
            syn::TraitItemFn { attrs: left.to_vec(), ..method.clone() }.into_token_stream()
        };
        self.expand(&method.attrs, &without);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|last| last.ident == "task") {
            self.add(expand::task(call.tokens.clone()));
        }
    }
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            found.extend(cases(&path));
        } else if path.extension().is_some_and(|extension| extension == "stderr") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The messages that have no number, as the compiler's own have, each with all of its lines.
fn reported(messages: &str) -> Vec<String> {
    /// The compiler's prefix of each line after the first.
    const INDENT: &str = "       ";
    let mut reported = Vec::new();
    let mut lines = messages.lines();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("error: ") else { continue };
        let behind = lines.clone().map_while(|line| line.strip_prefix(INDENT));
        reported.push([first].into_iter().chain(behind).collect::<Vec<_>>().join("\n"));
    }
    reported.sort();
    reported
}

#[test]
fn refusals_of_the_ui_cases_match_their_messages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let (mut compared, mut wrong) = (0, Vec::new());
    for messages in cases(&root.join("tests/ui/cases")) {
        if NOT_OURS_ALONE.iter().any(|part| messages.to_string_lossy().contains(part)) {
            continue;
        }
        let source = fs::read_to_string(messages.with_extension("rs")).expect("a case is readable");
        let Ok(file) = syn::parse_file(&source) else { continue };
        let reported = reported(&fs::read_to_string(&messages).expect("its messages are readable"));
        let refused = Refusals::of(&file);
        compared += refused.len();
        if refused != reported {
            let case = messages.strip_prefix(root).unwrap_or(&messages);
            wrong.push(format!("{}: refused {refused:#?}, reported {reported:#?}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{} differ: {}", wrong.len(), wrong.join("\n"));
    assert!(compared > 150, "{compared} refusals were compared");
}
