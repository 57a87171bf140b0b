//! `#[supervised]`: one function in, one function out.

pub(crate) mod allow;
pub(crate) mod args;
pub(crate) mod body;
pub(crate) mod expand;
mod instrument;
pub(crate) mod item;
mod restart;
pub(crate) mod signature;
mod story;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::{
    depth::{refuse_deep_arguments, refuse_deep_header},
    diagnostics::Diagnostics,
};
use args::{Args, OnCancel};
use body::{Owner, Refused, TokenParameter};
use item::{Function, Item};
use signature::Header;

/// Parses, checks and expands; every refusal arrives beside the expanded function.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(refusal) = refuse_deep_arguments(&arguments).or_else(|| refuse_deep_header(&item)) {
        return quote!(#item #refusal);
    }
    let unmarked = instrument::unmarked(&arguments);
    if let (None, Some(swapped)) = (&unmarked, instrument::swapped(&arguments, &item)) {
        return swapped;
    }
    let arguments = unmarked.unwrap_or(arguments);
    let mut diagnostics = Diagnostics::default();
    let args = Args::of_function(arguments, &mut diagnostics);
    let expanded = match item::read(item.clone(), &mut diagnostics) {
        Item::Function(function) => {
            let header = Header::read(&function.signature, &args, &mut diagnostics);
            args.check(header.has_token(), &mut diagnostics);
            args.restart.check_signature(&function.signature, &header, &mut diagnostics);
            let refused = check_body(&args, &function, &header, &mut diagnostics);
            expand::function(&args, &function, header, refused)
        }
        Item::Main(function) => {
            let Function { attributes, inner_attributes, signature, body, .. } = *function;
            quote! {
                fn main() {
                    #(#attributes)*
                    #[allow(dead_code)]
                    #signature {
                        #(#inner_attributes)*
                        #body
                    }
                }
            }
        }
        Item::Unreadable(item) => item,
        Item::Foreign => item,
    };
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

fn check_body(
    args: &Args,
    function: &Function,
    header: &Header<'_>,
    diagnostics: &mut Diagnostics,
) -> Refused {
    // What is not async may have been made so by an attribute above: its body is not the author's.
    if !function.is_async {
        return Refused::default();
    }
    let token = header
        .token_parameter()
        .filter(|_| args.on_cancel(true) == OnCancel::Cooperate)
        .map(|parameter| TokenParameter { pattern: &parameter.pat, owner: Owner::Function });
    body::check(&function.body, token, &args.allow, diagnostics)
}
