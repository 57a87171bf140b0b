//! Each public future documents what happens if it is dropped before its end.
//!
//! The check covers what `runtime/src/lib.rs` exports: types that are futures, `async` functions and methods, and
//! functions that return a future, by type or as `impl Future`. Types inside `pin_project!` are included.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::{
    Attribute, Expr, ImplItem, Item, Lit, Meta, ReturnType, Signature, Type, UseTree, Visibility,
    parse::{Parse, ParseStream, Parser},
};

use super::sources;

const SECTION: &str = "# Cancel safety";

#[test]
fn every_future_documents_its_drop() {
    let checked = awaited();
    for known in ["Supervised", "Map", "map", "Group::join", "Pool::reserve", "LeakCheck::verify"] {
        assert!(checked.iter().any(|each| each.name == known), "{known} was not checked");
    }
    let silent: Vec<_> =
        checked.iter().filter(|each| !each.documented).map(|each| &each.name).collect();
    assert!(silent.is_empty(), "without `{SECTION}` in their documentation: {silent:#?}");
}

#[test]
fn undocumented_public_futures_are_found() {
    let front_page = syn::parse_str(
        "pub use inner::{Pool, Wait, wait};
         pub mod __private { pub use inner::generated; }",
    );
    let inner = syn::parse_str(
        "pub use further::Hidden;
         pin_project! { /** What waits. */ pub struct Wait { #[pin] sleep: Sleep } }
         impl Future for Wait { }
         impl Future for Hidden { }
         impl Pool {
             /// # Cancel safety
             pub async fn reserve(&self) {}
             pub async fn drain(&self) {}
             pub fn spawn(&self) -> Result<Wait, Closed> {}
             pub fn limit(&self) -> usize {}
             async fn private(&self) {}
             pub(crate) async fn crate_only(&self) {}
         }
         pub fn wait() -> impl Future<Output = ()> + Send {}
         pub async fn generated() {}
         async fn wait() {}",
    );
    let checked = look(&front_page.expect("it is Rust"), &[inner.expect("it is Rust")]);
    let found: Vec<_> = checked.iter().map(|each| (each.name.as_str(), each.documented)).collect();
    assert_eq!(
        found,
        [
            ("Wait", false),
            ("Pool::reserve", true),
            ("Pool::drain", false),
            ("Pool::spawn", false),
            ("wait", false),
        ]
    );
}

pub(crate) struct Awaited {
    pub(crate) name: String,
    documented: bool,
}

/// Every public future, and every public function that is awaited.
pub(crate) fn awaited() -> Vec<Awaited> {
    let (front_page, others): (Vec<_>, Vec<_>) = sources::under(sources::RUNTIME)
        .into_iter()
        .partition(|source| source.path.ends_with("src/lib.rs"));
    let [front_page] = &front_page[..] else { panic!("there is one `lib.rs`") };
    // The replacement of tokio-util's token in the models is exported there only.
    let is_a_model = |source: &sources::Source| source.path.ends_with("src/sync/token.rs");
    let others = others.into_iter().filter(|source| !is_a_model(source));
    let others: Vec<_> = others.map(|source| source.parsed).collect();
    look(&front_page.parsed, &others)
}

fn look(front_page: &syn::File, others: &[syn::File]) -> Vec<Awaited> {
    let exported: BTreeSet<_> = front_page.items.iter().flat_map(exports).collect();
    let items: Vec<&Item> = others.iter().flat_map(|file| &file.items).collect();
    let futures: BTreeSet<_> = items
        .iter()
        .filter_map(|item| future_type(item))
        .filter(|name| exported.contains(name))
        .collect();
    let mut found = Vec::new();
    let mut add = |name: String, attributes: &[Attribute]| {
        found.push(Awaited { name, documented: documented(attributes) });
    };
    for item in items {
        match item {
            Item::Fn(function) if is_public(&function.vis) => {
                let name = function.sig.ident.to_string();
                if exported.contains(&name) && is_awaited(&function.sig, &futures) {
                    add(name, &function.attrs);
                }
            }
            Item::Impl(of) if of.trait_.is_none() => {
                let Some(owner) = named(&of.self_ty).filter(|name| exported.contains(name)) else {
                    continue;
                };
                for method in &of.items {
                    let ImplItem::Fn(method) = method else { continue };
                    if is_public(&method.vis) && is_awaited(&method.sig, &futures) {
                        add(format!("{owner}::{}", method.sig.ident), &method.attrs);
                    }
                }
            }
            other => {
                let Some((name, attributes)) = defined(other) else { continue };
                if futures.contains(&name) {
                    add(name, &attributes);
                }
            }
        }
    }
    found
}

/// The names that a `pub use` re-exports in `lib.rs`, at any depth of its tree.
fn exports(item: &Item) -> Vec<String> {
    fn leaves(tree: &UseTree, found: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => leaves(&path.tree, found),
            UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, found)),
            UseTree::Name(name) => found.push(name.ident.to_string()),
            UseTree::Rename(rename) => found.push(rename.rename.to_string()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Item::Use(item) = item {
        if is_public(&item.vis) {
            leaves(&item.tree, &mut found);
        }
    }
    found
}

fn is_public(of: &Visibility) -> bool {
    matches!(of, Visibility::Public(_))
}

/// The type of an `impl Future for …` or `impl IntoFuture for …`.
fn future_type(item: &Item) -> Option<String> {
    let Item::Impl(item) = item else { return None };
    let name = &item.trait_.as_ref()?.0.segments.last()?.ident;
    (name == "Future" || name == "IntoFuture").then(|| named(&item.self_ty))?
}

fn named(of: &Type) -> Option<String> {
    let Type::Path(of) = of else { return None };
    Some(of.path.segments.last()?.ident.to_string())
}

/// Whether the result of the function is awaited, or a part of it.
fn is_awaited(of: &Signature, futures: &BTreeSet<String>) -> bool {
    let ReturnType::Type(_, output) = &of.output else { return of.asyncness.is_some() };
    let words: BTreeSet<_> = words(output.to_token_stream()).into_iter().collect();
    of.asyncness.is_some() || words.contains("Future") || !words.is_disjoint(futures)
}

fn words(tokens: proc_macro2::TokenStream) -> Vec<String> {
    let each = |token| match token {
        proc_macro2::TokenTree::Group(group) => words(group.stream()),
        other => vec![other.to_string()],
    };
    tokens.into_iter().flat_map(each).collect()
}

/// The name and the documentation of a public type, also in the braces of `pin_project!`.
fn defined(item: &Item) -> Option<(String, Vec<Attribute>)> {
    match item {
        Item::Struct(of) if is_public(&of.vis) => Some((of.ident.to_string(), of.attrs.clone())),
        Item::Enum(of) if is_public(&of.vis) => Some((of.ident.to_string(), of.attrs.clone())),
        Item::Macro(call) if call.mac.path.is_ident("pin_project") => {
            let first = |input: ParseStream<'_>| {
                let of = Item::parse(input)?;
                // The remaining tokens can only be the `PinnedDrop` impl.
                input.parse::<proc_macro2::TokenStream>()?;
                Ok(of)
            };
            defined(&first.parse2(call.mac.tokens.clone()).expect("it starts with a type"))
        }
        _ => None,
    }
}

fn documented(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return false };
        let Expr::Lit(literal) = &pair.value else { return false };
        let Lit::Str(text) = &literal.lit else { return false };
        pair.path.is_ident("doc") && text.value().lines().any(|line| line.trim() == SECTION)
    })
}
