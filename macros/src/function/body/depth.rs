//! How deep a body nests: the parser, and whoever walks what it has read, recurses once a level.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Far more than anyone writes, and far less than a thread's stack holds.
const MOST: usize = 256;

/// What a group takes, beside an operator: the parser goes through all of its levels again.
const OF_A_GROUP: usize = 4;

/// Whether a body can be read without fear for the stack.
pub(super) fn is_shallow(tokens: TokenStream) -> bool {
    fits(tokens, MOST)
}

/// Each group is a level, and so is each operator of an expression: `!!a`, `a.b()?`, `else if`.
fn fits(tokens: TokenStream, most: usize) -> bool {
    let mut operators = 0;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if matches!(mark.as_char(), ',' | ';') => operators = 0,
            TokenTree::Punct(mark) if matches!(mark.as_char(), ':' | '#' | '\'') => {}
            TokenTree::Punct(_) => operators += 1,
            TokenTree::Ident(word) => operators += usize::from(is_operator(&word)),
            TokenTree::Literal(_) => {}
            TokenTree::Group(group) => {
                let left = most.checked_sub(operators + OF_A_GROUP);
                if !left.is_some_and(|left| fits(group.stream(), left)) {
                    return false;
                }
                let is_braced = group.delimiter() == Delimiter::Brace;
                if is_braced && !tokens.peek().is_some_and(goes_on) {
                    operators = 0;
                }
            }
        }
        if operators > most {
            return false;
        }
    }
    true
}

fn is_operator(word: &Ident) -> bool {
    ["as", "break", "else", "return", "yield"].iter().any(|operator| word == operator)
}

/// Whether the expression that holds a block does not end with it.
fn goes_on(next: &TokenTree) -> bool {
    match next {
        TokenTree::Ident(word) => is_operator(word),
        TokenTree::Punct(mark) => !matches!(mark.as_char(), '#' | '\''),
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    }
}
