//! Arbitrary tokens through every macro: no panic, no hang.
//!
//! An input that starts with `#` is text, as in `#[supervised(limit = 4)] async fn …`: real functions are seeds.
//! Any other is a run of bytes, each of which stands for one token (`alphabet.rs`).
//!
//! A stack that overflows leaves no artifact: `EXPAND_LAST=/dev/shm/last` writes each input down before it runs.

#![no_main]

// The macros as ordinary functions: a crate of macros exports nothing else.
#[path = "../../src/args/mod.rs"]
mod args;
#[path = "../../src/check/mod.rs"]
mod check;
#[path = "../../src/diagnostics.rs"]
mod diagnostics;
#[path = "../../src/emit/mod.rs"]
mod emit;
#[path = "../../src/expand/mod.rs"]
mod expand;
#[path = "../../src/header.rs"]
mod header;
#[path = "../../src/item/mod.rs"]
mod item;
#[path = "../../src/output.rs"]
mod output;
#[path = "../../src/syntax.rs"]
mod syntax;

mod alphabet;

use std::{env, ffi::OsString, fs, sync::LazyLock};

use libfuzzer_sys::{Corpus, fuzz_target};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

/// Where each input is written before it runs.
static LAST: LazyLock<Option<OsString>> = LazyLock::new(|| env::var_os("EXPAND_LAST"));

fuzz_target!(|data: &[u8]| -> Corpus {
    if let Some(path) = &*LAST {
        fs::write(path, data).expect("the input can be written down");
    }
    let Some((arguments, item)) = (if data.starts_with(b"#") {
        std::str::from_utf8(data).ok().and_then(of_text)
    } else {
        Some(alphabet::arguments_and_item(data))
    }) else {
        return Corpus::Reject;
    };
    let expanded = expand::supervised(arguments.clone(), item.clone());
    stays_a_function(&item, expanded);
    _ = expand::main(arguments.clone(), item.clone());
    _ = expand::test(arguments.clone(), item.clone(), true);
    _ = expand::task(arguments);
    _ = expand::task(item);
    Corpus::Keep
});

/// The arguments and the item of the attribute at the start of a text.
fn of_text(text: &str) -> Option<(TokenStream, TokenStream)> {
    let mut tokens = text.parse::<TokenStream>().ok()?.into_iter().skip(1);
    let TokenTree::Group(attribute) = tokens.next()? else { return None };
    let is_list = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis);
    let arguments = match attribute.stream().into_iter().find(is_list) {
        Some(TokenTree::Group(list)) => list.stream(),
        _ => TokenStream::new(),
    };
    Some((arguments, tokens.collect()))
}

/// A function that parses becomes one that parses.
fn stays_a_function(item: &TokenStream, expanded: TokenStream) {
    // The whole is parsed here, with its body.
    if !check::depth::fits_parser_stack(item.clone()) {
        return;
    }
    let Ok(before) = syn::parse2::<syn::ItemFn>(item.clone()) else { return };
    let items = Group::new(Delimiter::Brace, expanded.clone());
    let Ok(after) = syn::parse2::<syn::ItemImpl>(quote!(impl Fuzz #items)) else {
        panic!("no Rust is made of: {item}\n{expanded}");
    };
    let first = after.items.first();
    assert!(
        matches!(first, Some(syn::ImplItem::Fn(first)) if first.sig.ident == before.sig.ident),
        "another item is made of: {item}\n{expanded}"
    );
}
