//! The generated code: the only `quote!` of a whole function, entry or closure.

pub(crate) mod docs;
pub(crate) mod entry;
pub(crate) mod function;
pub(crate) mod lines;
pub(crate) mod task;

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{PatType, Type, TypeReference};

use crate::syntax::peel_groups;

/// The tokens in braces that count as those of the author's body.
pub(crate) fn braced_at(body: &Group, tokens: TokenStream) -> TokenStream {
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(body.span());
    block.into_token_stream()
}

/// The author's body in an `async` block, after the tokens `before`.
///
/// The block and the `match` have the author's spans, for lints that check where a body ends. An arm drops what the
/// body's last expression borrows before the parameters, in every edition; an `async fn` does so too.
pub(crate) fn async_body(body: &Group, before: TokenStream) -> TokenStream {
    let open = body.span_open();
    let (asynchronous, matched) = (quote_spanned!(open=> async), quote_spanned!(open=> match));
    let arm = braced_at(body, quote!(() => (#body)));
    let block = braced_at(body, quote!(#before #matched () #arm));
    quote!(#asynchronous move #block)
}

/// The parameter, without the lint that would report it a second time.
pub(crate) fn allow_unused(parameter: &PatType, is_refused: bool) -> PatType {
    let mut parameter = parameter.clone();
    if is_refused {
        parameter.attrs.push(syn::parse_quote!(#[allow(unused_variables)]));
    }
    parameter
}

/// The reference that the body gets: it lives as long as the body, and changes nothing.
pub(crate) fn borrowed_type(ty: &Type) -> Type {
    let Type::Reference(reference) = peel_groups(ty) else { return peel_groups(ty).clone() };
    let mut elem = &reference.elem;
    while let Type::Reference(inner) = peel_groups(elem) {
        elem = &inner.elem;
    }
    // Put together, not parsed: some referents of a reference need parentheses.
    Type::Reference(TypeReference {
        attrs: Vec::new(),
        and_token: reference.and_token,
        lifetime: None,
        mutability: None,
        elem: elem.clone(),
    })
}
