//! Helpers for syntax trees that several stages use: spans, groups, types, literals. Nothing here reports an error.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Expr, ExprLit, FnArg, Lit, Type};

/// The first token's place: the smallest one to report when a whole construct is wrong.
pub(crate) fn first_span(tokens: &impl ToTokens) -> Span {
    tokens.to_token_stream().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}

/// The last token's place.
pub(crate) fn last_span(tokens: &impl ToTokens) -> Span {
    tokens.to_token_stream().into_iter().last().map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) => group.span_close(),
        token => token.span(),
    })
}

/// Returns the tokens with their own hygiene. Errors are reported at `place`.
pub(crate) fn located(tokens: TokenStream, place: Span) -> TokenStream {
    let locate = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            let mut inner = Group::new(group.delimiter(), located(group.stream(), place));
            inner.set_span(group.span());
            token = inner.into();
        }
        token
    };
    located_outer(tokens.into_iter().map(locate).collect(), place)
}

/// Like [`located`], for the outermost tokens only: tokens within a pair of braces keep their spans.
pub(crate) fn located_outer(tokens: TokenStream, place: Span) -> TokenStream {
    let locate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(place));
        token
    };
    tokens.into_iter().map(locate).collect()
}

/// An item of the runtime crate. Errors are reported at `place`, but a crate path that the user wrote keeps its
/// spans: a wrong one is reported there, once.
pub(crate) fn runtime_item(krate: &syn::Path, path: TokenStream, place: Span) -> TokenStream {
    let path = located(path, place);
    if is_default_path(krate) {
        let krate = located(krate.to_token_stream(), place);
        quote!(#krate #path)
    } else {
        quote!(#krate #path)
    }
}

/// Whether the path is the default, which stands for a crate path that the user did not give.
pub(crate) fn is_default_path(krate: &syn::Path) -> bool {
    krate.leading_colon.is_some()
        && krate.segments.len() == 1
        && krate.segments[0].ident == "tokio_supervised"
}

/// The type itself, out of parentheses and of the group that a `macro_rules!` fragment wraps it in.
pub(crate) fn peel_groups(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel_groups(&group.elem),
        Type::Paren(paren) => peel_groups(&paren.elem),
        ty => ty,
    }
}

/// Whether a type visibly is a token, lent or given.
pub(crate) fn is_token(ty: &Type) -> bool {
    match peel_groups(ty) {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|segment| segment.ident == "CancellationToken")
        }
        Type::Reference(reference) => is_token(&reference.elem),
        _ => false,
    }
}

/// Whether a parameter always exists: one under `cfg` may not.
pub(crate) fn is_unconditional(input: &FnArg) -> bool {
    let attributes = match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(parameter) => &parameter.attrs,
    };
    !attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

/// The literal that an expression is, also if a `macro_rules!` fragment wraps it.
pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
