//! Checks the body of a supervised function for refused code, as far as its syntax shows it.
//!
//! 1. The checks read a copy; the expansion uses the tokens as they were written.
//! 2. A body that does not parse is left to the compiler, and no check reports anything.
//! 3. Code that the syntax does not show is not refused: closures, nested items and macro calls are not checked, and a
//!    bare name may be any item's.
//! 4. An `async` block belongs to the body that contains it.
//! 5. Most bodies are not parsed at all: only bodies that contain a keyword or name of refused code.

pub(crate) mod depth;
mod detached;
mod exits;
mod handed_on;
pub(crate) mod restart;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, ExprBlock};

use crate::{args::allow::Allow, diagnostics::Diagnostics};
use token::TokenParameter;

/// The refusals that the expansion depends on.
#[derive(Clone, Copy, Default)]
pub(crate) struct Refused {
    pub(crate) token: bool,
    pub(crate) calls: bool,
}

/// Refuses code that a body must not contain; a body that cannot be parsed is not checked.
pub(crate) fn body(
    body: &Group,
    token: Option<TokenParameter<'_>>,
    allow: &Allow,
    diagnostics: &mut Diagnostics,
) -> Refused {
    let body = body.to_token_stream();
    let is_suspect = token.as_ref().is_some_and(|token| token.is_unused_in(body.clone()))
        || to_decide(token.as_ref()).is_some_and(|name| handed_on::is_suspect(body.clone(), &name))
        || mentions_checked_name(body.clone());
    if !is_suspect || !depth::fits_parser_stack(body.clone()) {
        return Refused::default();
    }
    syn::parse2::<ExprBlock>(body).map_or_else(
        |_| Refused::default(),
        |body| parsed_body(&Expr::Block(body), false, token, allow, diagnostics),
    )
}

fn to_decide(token: Option<&TokenParameter<'_>>) -> Option<String> {
    token.and_then(TokenParameter::name_to_decide)
}

/// Whether the body contains one of the words that all refused code has.
fn mentions_checked_name(body: TokenStream) -> bool {
    const WORDS: [&str; 7] =
        ["loop", "while", "spawn", "spawn_local", "spawn_blocking", "sleep", "block_on"];
    body.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => WORDS.iter().any(|word| ident == word),
        TokenTree::Group(group) => mentions_checked_name(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Checks a body that is already parsed. `awaited` means that its value will be awaited.
pub(crate) fn parsed_body(
    body: &Expr,
    awaited: bool,
    token: Option<TokenParameter<'_>>,
    allow: &Allow,
    diagnostics: &mut Diagnostics,
) -> Refused {
    let to_decide = to_decide(token.as_ref());
    let token = token.is_some_and(|token| token.check(body.to_token_stream(), allow, diagnostics));
    if let Some(name) = to_decide.filter(|_| !token) {
        handed_on::check(body, &name, diagnostics);
    }
    exits::check(body, allow, diagnostics);
    let calls = detached::check(body, awaited, allow, diagnostics);
    Refused { token, calls }
}
