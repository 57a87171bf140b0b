//! A token parameter that the body never uses.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Pat, PatIdent, ext::IdentExt, spanned::Spanned};

use crate::{
    args::allow::{Allow, Check},
    diagnostics::Diagnostics,
};

/// The parameter that is the body's token.
pub(crate) struct TokenParameter<'a> {
    pub(crate) pattern: &'a Pat,
    pub(crate) owner: Owner,
    /// Whether `on_cancel` is written out.
    pub(crate) is_decided: bool,
}

/// The kind of item that has the parameter. It selects the remedy.
#[derive(Clone, Copy)]
pub(crate) enum Owner {
    Function,
    /// `main` or a test.
    Entry,
    Task,
}

impl TokenParameter<'_> {
    /// Refuses the parameter if the body does not use it. Returns whether it did.
    pub(super) fn check(
        self,
        body: TokenStream,
        allow: &Allow,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let is_refused = !allow.allows(Check::UnusedToken) && self.is_unused_in(body);
        if is_refused {
            self.refuse(diagnostics);
        }
        is_refused
    }

    pub(super) fn is_unused_in(&self, body: TokenStream) -> bool {
        match self.pattern {
            Pat::Ident(pattern) => !is_used(body, &pattern.ident.unraw().to_string()),
            Pat::Wild(_) => true,
            _ => false,
        }
    }

    /// The name of a token that the body may only hand on, unless `on_cancel` says what it does then. The body of an
    /// entry has no `on_cancel`.
    pub(super) fn name_to_decide(&self) -> Option<String> {
        match (self.pattern, self.owner) {
            (Pat::Ident(pattern), Owner::Function | Owner::Task) if !self.is_decided => {
                Some(pattern.ident.unraw().to_string())
            }
            _ => None,
        }
    }

    fn refuse(&self, diagnostics: &mut Diagnostics) {
        let (place, wanted) = match self.pattern {
            Pat::Ident(PatIdent { ident, .. }) => {
                (ident.span(), format!("await `{ident}.cancelled()`, pass `{ident}` on"))
            }
            pattern => (pattern.span(), "name the token and check it".to_owned()),
        };
        let remove = match self.owner {
            Owner::Task => "write `|_|`",
            Owner::Function | Owner::Entry => "remove the parameter",
        };
        let keep = match self.owner {
            Owner::Function => {
                "\nhelp: if a trait requires this signature, add `on_cancel = \"drop\"`"
            }
            Owner::Entry | Owner::Task => "",
        };
        diagnostics.refuse_at(
            place,
            format!(
                "this body never checks its cancellation token\nhelp: {wanted}, or {remove} to drop the body at its next `.await` when the token fires{keep}"
            ),
        );
    }
}

/// Whether the name is used, other than after a dot or to be discarded at once.
///
/// Reads tokens, not expressions: any use in a macro call or a closure counts.
fn is_used(tokens: TokenStream, name: &str) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(ident) => {
            let before = &tokens[..at];
            ident.unraw() == name
                && !is_field(before)
                && !is_thrown_away(before, tokens.get(at + 1))
        }
        TokenTree::Group(group) => is_used(group.stream(), name),
        // A format string may capture it.
        TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{name}")),
        TokenTree::Punct(_) => false,
    })
}

/// The number of occurrences of the name.
pub(super) fn count_uses(tokens: TokenStream, name: &str) -> usize {
    let count = |token| match token {
        TokenTree::Ident(ident) => usize::from(ident.unraw() == name),
        TokenTree::Group(group) => count_uses(group.stream(), name),
        TokenTree::Literal(literal) => {
            usize::from(literal.to_string().contains(&format!("{{{name}")))
        }
        TokenTree::Punct(_) => 0,
    };
    tokens.into_iter().map(count).sum()
}

/// Whether the name occurs, and no method but `clone` is called on it.
pub(super) fn may_be_handed_on(tokens: TokenStream, name: &str) -> bool {
    let mut is_there = false;
    !calls_method(tokens, name, &mut is_there) && is_there
}

fn calls_method(tokens: TokenStream, name: &str, is_there: &mut bool) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(ident) if ident.unraw() == name => {
            *is_there = true;
            match &tokens[at + 1..] {
                [dot, TokenTree::Ident(method), ..] => is_mark(dot, '.') && method != "clone",
                _ => false,
            }
        }
        TokenTree::Group(group) => calls_method(group.stream(), name, is_there),
        _ => false,
    })
}

/// `self.token`, but not `0..token`.
fn is_field(before: &[TokenTree]) -> bool {
    match before {
        [.., first, second] => is_mark(second, '.') && !is_mark(first, '.'),
        _ => false,
    }
}

/// `_ = token;`, also behind `let`, and lent.
fn is_thrown_away(mut before: &[TokenTree], next: Option<&TokenTree>) -> bool {
    while let [rest @ .., last] = before {
        if !is_mark(last, '&') {
            break;
        }
        before = rest;
    }
    let ends = next.is_some_and(|next| is_mark(next, ';'));
    let is_ignored = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "_");
    match before {
        [.., ignored, equals] => ends && is_mark(equals, '=') && is_ignored(ignored),
        _ => false,
    }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}
