//! The item under an attribute, or the call of `task!`: parsed, and refused if it cannot be supervised.

pub(crate) mod entry;
pub(crate) mod function;
pub(crate) mod instrument;
pub(crate) mod messages;
mod misplaced;
pub(crate) mod task;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Signature, Token, Visibility,
    parse::{Parse, ParseStream, Parser},
};

use crate::{diagnostics::Diagnostics, syntax::first_span};

/// The header, and the tokens after it.
pub(crate) struct RawFunction {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) signature: Signature,
    rest: TokenStream,
}

impl RawFunction {
    /// The body, if one brace group is all that follows the header.
    pub(crate) fn body(&self) -> Option<Group> {
        lone_block(self.rest.clone())
    }
}

/// A single brace group, even if a `macro_rules!` fragment wraps it.
fn lone_block(tokens: TokenStream) -> Option<Group> {
    let mut tokens = tokens.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) => match group.delimiter() {
            Delimiter::Brace => Some(group),
            Delimiter::None => lone_block(group.stream()),
            _ => None,
        },
        _ => None,
    }
}

impl Parse for RawFunction {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            defaultness: input.parse()?,
            signature: input.parse()?,
            rest: input.parse()?,
        })
    }
}

/// Refuses `const` and `extern`, and removes them: the rest still expands.
fn refuse_qualifiers(
    signature: &mut Signature,
    is_const: &str,
    is_extern: &str,
    diagnostics: &mut Diagnostics,
) {
    if let Some(constness) = signature.constness.take() {
        diagnostics.refuse(&constness, is_const);
    }
    if let Some(abi) = signature.abi.take() {
        diagnostics.refuse(&abi, is_extern);
    }
}

/// Splits off the `#![…]` at the head of a body, which belong to the function, not to the block that the body
/// becomes. Documentation joins the outer attributes; the rest stays as it is written, since some lints ask.
pub(crate) fn split_inner_attributes(
    body: &Group,
    outer: &mut Vec<Attribute>,
) -> (Vec<Attribute>, Group) {
    let split = |input: ParseStream<'_>| {
        Ok((input.call(Attribute::parse_inner)?, input.parse::<TokenStream>()?))
    };
    let Ok((inner, stream)) = split.parse2(body.stream()) else {
        return (Vec::new(), body.clone());
    };
    let (documentation, inner): (Vec<_>, _) =
        inner.into_iter().partition(|attribute| attribute.path().is_ident("doc"));
    outer.extend(documentation.into_iter().map(|mut attribute| {
        attribute.style = syn::AttrStyle::Outer;
        attribute
    }));
    let mut rest = Group::new(Delimiter::Brace, stream);
    rest.set_span(body.span());
    (inner, rest)
}

/// A function whose header does not parse, with a body that does not compile.
///
/// The compiler parses a header before any attribute sees it. It has reported this one, and any message from here would
/// be a second error about the same mistake. The constant reports an error only if the compiler parses more than this
/// crate does: it is not evaluated before the rest has compiled.
pub(crate) fn with_compile_trap(tokens: TokenStream) -> Option<TokenStream> {
    let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_function = starts_function(&tokens);
    let Some(TokenTree::Group(body)) = tokens.last_mut() else { return None };
    if !is_function || body.delimiter() != Delimiter::Brace {
        return None;
    }
    let (compile_trap, stream) = (compile_trap(), body.stream());
    let mut broken = Group::new(Delimiter::Brace, quote!(#compile_trap #stream));
    broken.set_span(body.span());
    *body = broken;
    Some(tokens.into_iter().collect())
}

/// Tokens that never compile.
pub(crate) fn compile_trap() -> TokenStream {
    quote! {
        const {
            ::core::panic!("`tokio-supervised` cannot read the header of this function")
        }
    }
}

/// Whether only attributes, a visibility and qualifiers are before an `fn`.
fn starts_function(tokens: &[TokenTree]) -> bool {
    const QUALIFIERS: [&str; 7] = ["async", "const", "default", "extern", "pub", "safe", "unsafe"];
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "fn" => return true,
            TokenTree::Ident(ident) if QUALIFIERS.iter().any(|word| ident == word) => {}
            TokenTree::Punct(mark) if mark.as_char() == '#' => {}
            TokenTree::Group(group)
                if matches!(group.delimiter(), Delimiter::Bracket | Delimiter::Parenthesis) => {}
            TokenTree::Literal(_) => {}
            _ => return false,
        }
    }
    false
}

/// The item's own first token, behind its attributes.
pub(crate) fn span_after_attributes(tokens: TokenStream) -> proc_macro2::Span {
    let behind = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<TokenStream>()
    };
    first_span(&behind.parse2(tokens.clone()).unwrap_or(tokens).into_token_stream())
}
