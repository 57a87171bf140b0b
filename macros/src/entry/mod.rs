//! `#[supervised::main]` and `#[supervised::test]`: an `async fn` in, a plain one out.

mod expand;
mod flavor;
mod main_args;
mod messages;
mod misplaced;
mod test_args;
#[cfg(test)]
mod tests;

use proc_macro2::{Group, TokenStream};
use quote::quote;
use syn::{
    FnArg, PatType, Signature, Type,
    parse::{Parse, Parser},
};

use crate::{
    depth::{refuse_deep_arguments, refuse_deep_header},
    diagnostics::Diagnostics,
    function::{
        allow::Allow,
        body::{self, Owner, Refused, TokenParameter, allow_unused},
        item::{RawFunction, compile_trap, span_after_attributes, with_compile_trap},
        signature::{is_token, peel_groups},
    },
};
use expand::EntryFunction;
use main_args::MainArgs;
use messages::Entry;
use test_args::TestArgs;

/// `#[supervised::main]`.
pub(crate) fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(refusal) = refuse_deep_arguments(&arguments).or_else(|| refuse_deep_header(&item)) {
        return quote!(#item #refusal);
    }
    let mut diagnostics = Diagnostics::default();
    let args = MainArgs::parse(arguments, &mut diagnostics);
    let expanded = rewrite(Entry::Main, item, &args.allow, &mut diagnostics, |rewritten| {
        expand::main(&args, rewritten)
    });
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

/// `#[supervised::test]`; `has_test_util` is that feature, without which time cannot be paused.
pub(crate) fn test(arguments: TokenStream, item: TokenStream, has_test_util: bool) -> TokenStream {
    if let Some(refusal) = refuse_deep_arguments(&arguments).or_else(|| refuse_deep_header(&item)) {
        return quote!(#item #refusal);
    }
    let mut diagnostics = Diagnostics::default();
    let args = TestArgs::parse(arguments, has_test_util, &mut diagnostics);
    let expanded = rewrite(Entry::Test, item, &args.allow, &mut diagnostics, |rewritten| {
        expand::test(&args, rewritten)
    });
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

/// What both do with the item: refuse what it cannot be, and expand it all the same.
fn rewrite(
    entry: Entry,
    item: TokenStream,
    allow: &Allow,
    diagnostics: &mut Diagnostics,
    expand: impl FnOnce(EntryFunction<'_>) -> TokenStream,
) -> TokenStream {
    let start = RawFunction::parse.parse2(item.clone());
    let body = start.as_ref().ok().and_then(RawFunction::body);
    if let (Err(_), Some(broken)) = (&start, with_compile_trap(item.clone())) {
        return match entry {
            // An `async fn main` would be one more error.
            Entry::Main => {
                let trap = compile_trap();
                quote!(fn main() { #trap })
            }
            Entry::Test => broken,
        };
    }
    let (Ok(mut start), Some(body)) = (start, body) else {
        diagnostics.refuse_at(span_after_attributes(item.clone()), entry.is_no_function());
        return item;
    };
    let misplaced = misplaced::refuse(entry, &mut start.attributes, diagnostics);
    // `#[tokio::test]` above has made a test of it: the body is not the author's any more.
    if misplaced && entry == Entry::Test && start.signature.asyncness.is_none() {
        return item;
    }
    refuse_qualifiers(entry, &mut start.signature, diagnostics);
    let token = check(entry, &start.signature, diagnostics);
    // A method is no test to Rust either, and its body may name `self`.
    if entry == Entry::Test && start.signature.receiver().is_some() {
        return item;
    }
    let refused = check_body(allow, &start, &body, token, diagnostics);
    let token = token.map(|token| allow_unused(token, refused.token));
    expand(EntryFunction { start: &start, body: &body, token: token.as_ref() })
}

fn check_body(
    allow: &Allow,
    start: &RawFunction,
    body: &Group,
    token: Option<&PatType>,
    diagnostics: &mut Diagnostics,
) -> Refused {
    // What is not async may have been made so by an attribute above: its body is not the author's.
    if start.signature.asyncness.is_none() {
        return Refused::default();
    }
    // Whatever stands in the place of the token is refused for its type.
    let token = token
        .filter(|token| is_token(&token.ty))
        .map(|token| TokenParameter { pattern: &token.pat, owner: Owner::Entry });
    body::check(body, token, allow, diagnostics)
}

/// Refuses what an entry cannot be.
fn refuse_qualifiers(entry: Entry, signature: &mut Signature, diagnostics: &mut Diagnostics) {
    if let Some(constness) = signature.constness.take() {
        diagnostics.refuse(&constness, entry.is_const());
    }
    if let Some(abi) = signature.abi.take() {
        diagnostics.refuse(&abi, entry.is_extern());
    }
}

/// Refuses a header that cannot be an entry; tells which parameter is the token.
fn check<'a>(
    entry: Entry,
    signature: &'a Signature,
    diagnostics: &mut Diagnostics,
) -> Option<&'a PatType> {
    if signature.asyncness.is_none() {
        diagnostics
            .refuse(&signature.fn_token, "the runtime drives an async function: write `async fn`");
    }
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        diagnostics.refuse(&generics.params, entry.is_generic());
    }
    let mut token = None;
    for (at, input) in signature.inputs.iter().enumerate() {
        match input {
            FnArg::Typed(parameter) if at == 0 => {
                if let Type::Reference(reference) = peel_groups(&parameter.ty) {
                    if let Some(mutability) = &reference.mutability {
                        diagnostics.refuse(
                            mutability,
                            "a token is shared, not changed: write `token: CancellationToken`",
                        );
                    }
                }
                token = Some(parameter);
            }
            surplus => diagnostics.refuse(surplus, entry.takes_more(&signature.ident)),
        }
    }
    token
}
