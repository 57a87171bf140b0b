//! How deep tokens nest: the parser and every visitor recurse once for each level.
//!
//! 1. The count is the stack, in KiB, that a level takes without optimization, as macros are built: `robustness` tests
//!    it on a thread of 2 MiB.
//! 2. A level ends with its group. It ends before that only if no parser is inside it: at a `;`, a `=>`, a comma that
//!    cannot belong to generics or a closure, and a block after which no expression continues.
//! 3. A count that is too high skips the checks of a body; one that is too low lets the compiler overflow its stack.

#[cfg(test)]
mod tests;

use proc_macro2::{Delimiter, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::quote_spanned;

/// Far more than anyone writes, and less than a thread's stack holds.
const MAX_KIB: usize = 1_600;

/// The deepest nesting of groups in a body that is not parsed: it is walked all the same.
const MAX_GROUP_DEPTH: usize = 256;

const BLOCK_KIB: usize = 20;
const GROUP_KIB: usize = 28;
const ANGLE_KIB: usize = 48;
const ARROW_KIB: usize = 32;
const BORROW_KIB: usize = 30;
const ITEM_KIB: usize = 24;
const KEYWORD_KIB: usize = 12;
const PUNCT_KIB: usize = 7;
/// Parsed in a loop, but recursed into when it is copied: `a.b()?[0]`, `1 + 1`; also half of a `::`.
const LINK_KIB: usize = 4;

/// Keywords after which an expression or a type starts.
const WORDS: [&str; 19] = [
    "as", "become", "box", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let",
    "match", "move", "mut", "return", "where", "while", "yield",
];

/// Keywords that start an item within a body, besides those.
const ITEMS: [&str; 9] =
    ["enum", "extern", "fn", "mod", "static", "struct", "trait", "type", "union"];

/// The error for arguments that cannot be parsed; the item is kept unchanged.
pub(crate) fn refuse_deep_arguments(arguments: &TokenStream) -> Option<TokenStream> {
    (!fits_parser_stack(arguments.clone())).then(refusal)
}

/// The error for an item whose header cannot be parsed, or whose body cannot even be walked.
pub(crate) fn refuse_deep_header(item: &TokenStream) -> Option<TokenStream> {
    let fits =
        nests(item.clone(), MAX_GROUP_DEPTH) && fits_parser_stack(without_body(item.clone()));
    (!fits).then(refusal)
}

fn refusal() -> TokenStream {
    quote_spanned! {Span::call_site()=>
        ::core::compile_error!("this nests too deeply to be parsed\nhelp: name the inner parts, as in `type Inner = …;`");
    }
}

/// Whether tokens can be parsed without overflowing the stack.
pub(crate) fn fits_parser_stack(tokens: TokenStream) -> bool {
    fits(tokens, MAX_KIB)
}

fn nests(tokens: TokenStream, most: usize) -> bool {
    tokens.into_iter().all(|token| match token {
        TokenTree::Group(group) => most > 0 && nests(group.stream(), most - 1),
        _ => true,
    })
}

/// An item up to its body, even if a `macro_rules!` fragment wraps it.
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

fn fits(tokens: TokenStream, most: usize) -> bool {
    let mut level = Level::default();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let next = tokens.peek();
        match &token {
            TokenTree::Group(group) => {
                let is_block = group.delimiter() == Delimiter::Brace;
                let of_it = if is_block { BLOCK_KIB } else { GROUP_KIB };
                let left = most.checked_sub(level.taken() + of_it);
                if !left.is_some_and(|left| fits(group.stream(), left)) {
                    return false;
                }
                if is_block && !next.is_some_and(goes_on) {
                    level = Level::default();
                } else {
                    level.group();
                }
            }
            TokenTree::Ident(word) => level.word(word),
            TokenTree::Punct(mark) => level.mark(mark.as_char(), mark.spacing() == Spacing::Joint),
            TokenTree::Literal(_) => level.literal(),
        }
        if level.taken() > most {
            return false;
        }
    }
    true
}

/// Whether the expression that holds a block does not end with it.
fn goes_on(next: &TokenTree) -> bool {
    match next {
        TokenTree::Ident(word) => ["as", "else", "in"].iter().any(|known| word == known),
        TokenTree::Punct(mark) => !matches!(mark.as_char(), '#' | '\''),
        TokenTree::Group(_) => true,
        TokenTree::Literal(_) => false,
    }
}

/// The levels that are open between the tokens of one group.
#[derive(Default)]
struct Level {
    others: usize,
    angles: usize,
    /// A comma may be one of a closure's.
    has_bars: bool,
    last: Last,
}

/// The token before.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// Tokens after which a `&` starts a type or an expression.
    #[default]
    Other,
    /// Tokens after which a `&` continues an expression.
    Value,
    /// The first half of an operator behind a value, as of `&&`.
    JointToValue,
    /// The first half of an arrow, `->` or `=>`.
    Arrow(char),
    /// The first token of a lifetime, or of an attribute.
    Prefix,
}

impl Level {
    fn taken(&self) -> usize {
        self.others + self.angles * ANGLE_KIB
    }

    /// A group after a value is another level, as in `a()()`; that of an attribute is none.
    fn group(&mut self) {
        if self.last != Last::Prefix {
            self.others += LINK_KIB;
        }
        self.last = Last::Value;
    }

    /// A literal may be two fields, as in `a.0.0`.
    fn literal(&mut self) {
        self.others += LINK_KIB;
        self.last = Last::Value;
    }

    fn word(&mut self, word: &Ident) {
        let is_word = WORDS.iter().any(|known| word == known);
        if is_word {
            self.others += KEYWORD_KIB;
        } else if ITEMS.iter().any(|known| word == known) {
            self.others += ITEM_KIB;
        }
        // That of a lifetime is followed by a type.
        self.last = if is_word || self.last == Last::Prefix { Last::Other } else { Last::Value };
    }

    fn mark(&mut self, mark: char, is_joint: bool) {
        let last = std::mem::take(&mut self.last);
        match (mark, last) {
            ('#' | '\'', _) => return self.last = Last::Prefix,
            // `#![…]`.
            ('!', Last::Prefix) => return self.last = Last::Prefix,
            (';', _) | ('>', Last::Arrow('=')) => return *self = Self::default(),
            (',', _) if self.angles == 0 && !self.has_bars => return *self = Self::default(),
            ('>', Last::Arrow(_)) => self.others += ARROW_KIB,
            ('>', _) => self.angles = self.angles.saturating_sub(1),
            ('<', _) => self.angles += 1,
            ('&' | '*', Last::Other | Last::Prefix) => self.others += BORROW_KIB,
            ('.' | '?' | ':' | '+' | '/' | '%' | '^', _) => self.others += LINK_KIB,
            _ => self.others += PUNCT_KIB,
        }
        self.has_bars |= mark == '|';
        self.last = match (mark, last) {
            ('-' | '=', _) if is_joint => Last::Arrow(mark),
            (_, Last::Value) if is_joint => Last::JointToValue,
            _ => Last::Other,
        };
    }
}
