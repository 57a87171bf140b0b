//! How deep tokens nest: the parser, and whoever walks what it has read, recurses once a level.

use proc_macro2::{Delimiter, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::quote_spanned;

/// Far more than anyone writes, and far less than a thread's stack holds.
const MOST: usize = 256;

/// What a group takes, beside an operator: the parser goes through all of its levels again.
const OF_A_GROUP: usize = 4;

/// Whether a body can be read without fear for the stack.
pub(crate) fn is_shallow(tokens: TokenStream) -> bool {
    fits(tokens, MOST)
}

/// As deep as types and arguments may nest; the parser takes more of the stack for a level of theirs.
const MOST_OF_A_HEADER: usize = 48;

/// What to say of arguments that cannot be read, beside the item as it is.
pub(crate) fn refused_arguments(arguments: &TokenStream) -> Option<TokenStream> {
    let fit = is_shallow(arguments.clone()) && header_fits(arguments.clone(), MOST_OF_A_HEADER);
    (!fit).then(|| refusal(Span::call_site()))
}

/// What to say of an item whose header cannot be read.
pub(crate) fn refused_header(item: &TokenStream) -> Option<TokenStream> {
    (!header_fits(without_body(item.clone()), MOST_OF_A_HEADER)).then(|| refusal(Span::call_site()))
}

fn refusal(place: Span) -> TokenStream {
    quote_spanned! {place=>
        ::core::compile_error!("this nests too deeply to be read: give its inner parts a name, as in `type Inner = …;`");
    }
}

/// An item up to its body, also where a `macro_rules!` fragment wraps it.
fn without_body(item: TokenStream) -> TokenStream {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    match tokens.pop() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {}
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::None => {
            tokens.extend(without_body(group.stream()));
        }
        last => tokens.extend(last),
    }
    tokens.into_iter().collect()
}

/// Each group, each angle bracket and each mark in a row is a level: `[[T; 2]; 2]`, `Vec<Vec<T>>`, `&&T`.
fn header_fits(tokens: TokenStream, most: usize) -> bool {
    let (mut angles, mut marks, mut after_joint) = (0_usize, 0, false);
    for token in tokens {
        let is_mark = matches!(token, TokenTree::Punct(_));
        marks = if is_mark { marks + 1 } else { 0 };
        match &token {
            TokenTree::Punct(mark) if mark.as_char() == '<' => angles += 1,
            // The arrows `->` and `=>` close nothing.
            TokenTree::Punct(mark) if mark.as_char() == '>' && !after_joint => {
                angles = angles.saturating_sub(1);
            }
            TokenTree::Group(group) => {
                let left = most.checked_sub(angles + 1);
                if !left.is_some_and(|left| header_fits(group.stream(), left)) {
                    return false;
                }
            }
            _ => {}
        }
        if angles + marks > most {
            return false;
        }
        after_joint = matches!(&token, TokenTree::Punct(mark)
            if mark.spacing() == Spacing::Joint && matches!(mark.as_char(), '-' | '='));
    }
    true
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
