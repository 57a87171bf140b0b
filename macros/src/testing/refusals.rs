//! Helpers for tests of an expansion: its refusals, and whether it contains some tokens.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The text of a test as tokens.
pub(crate) fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the text of a test is made of tokens")
}

/// The text of each `compile_error!`, at any depth, in their order.
pub(crate) fn refusals(expanded: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_refusal = false;
    for token in expanded {
        match token {
            TokenTree::Ident(name) => is_refusal = name == "compile_error",
            TokenTree::Group(group) if is_refusal => {
                let text: syn::LitStr = syn::parse2(group.stream()).expect("a refusal is a text");
                found.push(text.value());
                is_refusal = false;
            }
            TokenTree::Group(group) => found.extend(refusals(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Whether the expansion contains a sequence of tokens, whatever its spaces.
pub(crate) fn has(expanded: &TokenStream, part: &str) -> bool {
    let without_spaces = |text: &str| text.replace(char::is_whitespace, "");
    without_spaces(&expanded.to_string()).contains(&without_spaces(part))
}

/// Tokens in the group that a `macro_rules!` fragment is wrapped in.
pub(crate) fn fragment(text: &str) -> TokenTree {
    Group::new(Delimiter::None, tokens(text)).into()
}
