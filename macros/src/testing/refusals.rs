//! Helpers for tests of an expansion: its refusals, and whether it contains some tokens.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The text of a test as tokens.
pub(crate) fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the text of a test is made of tokens")
}

/// The text of each `compile_error!`, at any depth, in their order. Panics if one does not have the form of a refusal.
pub(crate) fn refusals(expanded: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_refusal = false;
    for token in expanded {
        match token {
            TokenTree::Ident(name) => is_refusal = name == "compile_error",
            TokenTree::Group(group) if is_refusal => {
                let text: syn::LitStr =
                    syn::parse2(group.stream()).expect("a refusal is a string literal");
                let text = text.value();
                assert!(has_refusal_form(&text), "not a problem and a `help:`: {text:?}");
                found.push(text);
                is_refusal = false;
            }
            TokenTree::Group(group) => found.extend(refusals(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Whether a message is a problem on one line, lower case and without a full stop, and a remedy on each further line,
/// which starts with `help:`.
fn has_refusal_form(message: &str) -> bool {
    // A parser's own error, in a body that is parsed with its closure.
    const PARSER: [&str; 2] = ["expected ", "unexpected "];
    let mut lines = message.lines();
    let problem = lines.next().unwrap_or_default();
    let helps: Vec<_> = lines.collect();
    problem.starts_with(|first: char| first == '`' || first.is_lowercase())
        && !problem.ends_with('.')
        && helps.iter().all(|help| help.starts_with("help: ") && !help.ends_with('.'))
        && (!helps.is_empty() || PARSER.iter().any(|start| problem.starts_with(start)))
}

#[test]
fn a_refusal_is_a_problem_and_a_remedy() {
    for (message, has_form) in [
        ("`limit` must not be 0\nhelp: write `limit = 1`", true),
        ("this body blocks\nhelp: await it\nhelp: or allow it", true),
        ("expected expression", true),
        ("this body blocks: await it", false),
        ("this body blocks\nawait it", false),
        ("This body blocks\nhelp: await it", false),
        ("this body blocks.\nhelp: await it", false),
        ("this body blocks\nhelp: await it.", false),
        ("", false),
    ] {
        assert_eq!(has_refusal_form(message), has_form, "{message:?}");
    }
}

/// Whether the expansion contains a sequence of tokens, ignoring spaces.
pub(crate) fn has(expanded: &TokenStream, part: &str) -> bool {
    let without_spaces = |text: &str| text.replace(char::is_whitespace, "");
    without_spaces(&expanded.to_string()).contains(&without_spaces(part))
}

/// Tokens in the group that a `macro_rules!` fragment is wrapped in.
pub(crate) fn fragment(text: &str) -> TokenTree {
    Group::new(Delimiter::None, tokens(text)).into()
}
