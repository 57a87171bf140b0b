//! Finds the functions in a file, also in the plain tokens of a macro call.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::ItemFn;

/// The contents of a file.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<ItemFn>,
    /// Functions within a `macro_rules!`, which are valid Rust only at the macro's call.
    pub(crate) fragments: usize,
}

/// Each `async fn` with a body; `None` if the file cannot be tokenized.
pub(crate) fn functions(text: &str) -> Option<Found> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = match text.strip_prefix("#!") {
        Some(shebang) if !shebang.trim_start().starts_with('[') => shebang.split_once('\n')?.1,
        _ => text,
    };
    let mut found = Found::default();
    look(text.parse().ok()?, &mut found);
    Some(found)
}

fn look(tokens: TokenStream, found: &mut Found) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            look(group.stream(), found);
        }
        if !is_word(token, "fn") {
            continue;
        }
        let qualifiers = qualifiers(&tokens[..at]);
        let has = |word| tokens[qualifiers..at].iter().any(|token| is_word(token, word));
        if !has("async") || has("const") || has("extern") {
            continue;
        }
        match whole(&tokens[start(&tokens[..qualifiers])..], at) {
            Whole::Function(item) => found.items.push(*item),
            Whole::NoBody => {}
            Whole::Fragment => found.fragments += 1,
        }
    }
}

enum Whole {
    Function(Box<ItemFn>),
    NoBody,
    Fragment,
}

/// The function at the start of `tokens`, whose body is the first brace group that completes it.
fn whole(tokens: &[TokenTree], at: usize) -> Whole {
    let mut is_fragment = false;
    for (end, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                match syn::parse2(tokens[..=end].iter().cloned().collect()) {
                    Ok(item) => return Whole::Function(Box::new(item)),
                    Err(_) => is_fragment = true,
                }
            }
            TokenTree::Ident(word) if word == "fn" && end > at => break,
            _ => {}
        }
    }
    if is_fragment { Whole::Fragment } else { Whole::NoBody }
}

/// Where the qualifiers before `fn` start.
fn qualifiers(before: &[TokenTree]) -> usize {
    const WORDS: [&str; 5] = ["async", "const", "extern", "safe", "unsafe"];
    let is_qualifier = |token: &TokenTree| match token {
        TokenTree::Literal(_) => true,
        token => WORDS.iter().any(|word| is_word(token, word)),
    };
    before.len() - before.iter().rev().take_while(|token| is_qualifier(token)).count()
}

/// Where the visibility and the attributes before the qualifiers start.
fn start(before: &[TokenTree]) -> usize {
    let mut start = match before {
        [.., word, TokenTree::Group(group)]
            if is_word(word, "pub") && group.delimiter() == Delimiter::Parenthesis =>
        {
            before.len() - 2
        }
        [.., word] if is_word(word, "pub") => before.len() - 1,
        _ => before.len(),
    };
    while let [.., TokenTree::Punct(mark), TokenTree::Group(group)] = &before[..start] {
        if mark.as_char() != '#' || group.delimiter() != Delimiter::Bracket {
            break;
        }
        start -= 2;
    }
    start
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}
