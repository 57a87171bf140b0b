//! `#[tracing::instrument]` beneath the attribute.
//!
//! ```text
//! Input   #[supervised(limit = 16)]
//!         #[tracing::instrument(skip_all)]
//!         async fn fetch() { body }
//!
//! Output  #[tracing::instrument(skip_all)]
//!         #[supervised(@ limit = 16)]
//!         async fn fetch() { body }
//! ```
//!
//! It puts an async body into a span. A supervised function is no longer async: the span would cover the call that
//! makes the future, and nothing of the body.
//!
//! The mark says that they are swapped. The compiler expands this attribute with the other one beneath it again
//! if it cannot find the other, and a second swap would be one without end: the error would be the recursion limit,
//! not that `tracing` is missing.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute,
    parse::{Parse, ParseStream, Parser},
};

use super::RawFunction;
use crate::{args::task::TaskArgs, diagnostics::Diagnostics};

/// The arguments without the mark, if they have it.
pub(crate) fn unmarked(arguments: &TokenStream) -> Option<TokenStream> {
    let mut tokens = arguments.clone().into_iter();
    let first = tokens.next()?;
    matches!(&first, TokenTree::Punct(mark) if mark.as_char() == '@').then(|| tokens.collect())
}

/// Returns the item with the two attributes swapped, if they are in the wrong order.
pub(crate) fn swapped(arguments: &TokenStream, item: &TokenStream) -> Option<TokenStream> {
    // An item that is not a function, or has no body, is refused unchanged.
    RawFunction::parse.parse2(item.clone()).ok()?.body()?;
    let split = |input: ParseStream<'_>| {
        let attributes = input.call(Attribute::parse_outer)?;
        Ok((attributes, input.parse::<TokenStream>()?))
    };
    let (mut attributes, rest) = split.parse2(item.clone()).ok()?;
    let at = attributes.iter().position(is_instrument)?;
    let instrument = attributes.remove(at);
    // Mistakes in the arguments are reported when they are parsed again.
    let krate = TaskArgs::of_function(arguments.clone(), &mut Diagnostics::default()).krate;
    let ours = quote!(#[#krate::supervised(@ #arguments)]);
    let attributes = attributes.iter().map(ToTokens::to_token_stream);
    Some(quote!(#instrument #ours #(#attributes)* #rest))
}

fn is_instrument(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "instrument")
}
