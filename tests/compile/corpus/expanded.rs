//! The result for one function.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, ItemFn, LitStr};

use crate::expand as macros;

/// The messages that refuse the function, or what went wrong.
pub(crate) type Judgement = Result<Vec<String>, String>;

/// Arguments with which each function is expanded too, to find failures only.
const MORE_ARGUMENTS: [&str; 2] = [
    r#"limit = 4, on_full = "reject", timeout = "10s", on_cancel = "cooperate", grace = "5s""#,
    r#"restart = "always", restart_if = accepts, backoff = "1s..2s", max_restarts = "5/1m", every = "1s""#,
];

/// The function under a bare `#[supervised]`.
pub(crate) fn judge(item: &ItemFn) -> Judgement {
    for arguments in MORE_ARGUMENTS {
        let arguments: TokenStream = arguments.parse().map_err(|_| "arguments".to_owned())?;
        expand(macros::supervised, arguments, item)?;
    }
    expand(macros::main, TokenStream::new(), item)?;
    expand(|arguments, item| macros::test(arguments, item, true), TokenStream::new(), item)?;
    expand_task(item)?;
    let expanded = expand(macros::supervised, TokenStream::new(), item)?;
    // An entry point is refused, and only its name is kept.
    if item.sig.ident != "main" {
        keeps_its_parameters(item, &expanded)?;
    }
    let refusals = expanded.iter().filter_map(|item| match item {
        ImplItem::Macro(call) => call.mac.parse_body::<LitStr>().ok(),
        _ => None,
    });
    Ok(refusals.map(|message| message.value()).collect())
}

/// The body as that of a closure which `task!` takes.
fn expand_task(item: &ItemFn) -> Result<(), String> {
    let body = &item.block;
    let closure = match &item.sig.output {
        syn::ReturnType::Default => quote!(|token| async move #body),
        output => quote!(|token| #output #body),
    };
    let expanded = catch_unwind(|| macros::task(quote!("corpus", #closure)))
        .map_err(|_| "`task!` panics".to_owned())?;
    syn::parse2::<syn::Block>(quote!({ #expanded }))
        .map(drop)
        .map_err(|error| format!("the expansion of `task!` is not valid Rust: {error}\n{expanded}"))
}

type Door = fn(TokenStream, TokenStream) -> TokenStream;

fn expand(door: Door, arguments: TokenStream, item: &ItemFn) -> Result<Vec<ImplItem>, String> {
    let tokens = item.to_token_stream();
    let expanded = catch_unwind(AssertUnwindSafe(|| door(arguments, tokens)))
        .map_err(|_| "it panics".to_owned())?;
    // Parsed again from text, which has none of the invisible groups that could hold it together.
    let text = expanded.to_string();
    let tokens: TokenStream =
        text.parse().map_err(|error| format!("not valid tokens: {error}\n{text}"))?;
    // A function with `self` is expanded in an `impl`; any other may be.
    let parsed: syn::ItemImpl = syn::parse2(quote!(impl Corpus { #tokens }))
        .map_err(|error| format!("not valid Rust: {error}\n{text}"))?;
    let (first, beside) = parsed.items.split_first().ok_or("nothing is left")?;
    let is_named = matches!(first, ImplItem::Fn(function) if function.sig.ident == item.sig.ident);
    let is_refusal = |item: &ImplItem| matches!(item, ImplItem::Macro(call) if call.mac.path.segments.last().is_some_and(|last| last.ident == "compile_error"));
    if !is_named || !beside.iter().all(is_refusal) {
        return Err(format!("another item:\n{text}"));
    }
    Ok(parsed.items)
}

/// The function may have gained a token parameter, which has another name in its documentation.
fn keeps_its_parameters(item: &ItemFn, expanded: &[ImplItem]) -> Result<(), String> {
    let before = item.sig.inputs.len();
    match expanded {
        [ImplItem::Fn(function), ..]
            if (before..=before + 1).contains(&compiled_inputs(function)) =>
        {
            Ok(())
        }
        _ => Err(format!("of {before} parameters not all are left")),
    }
}

/// The number of parameters outside of the documentation.
fn compiled_inputs(function: &ImplItemFn) -> usize {
    let is_documentation = |input: &&FnArg| {
        let attributes = match input {
            FnArg::Receiver(receiver) => &receiver.attrs,
            FnArg::Typed(parameter) => &parameter.attrs,
        };
        let is_doc = |attribute: &Attribute| {
            attribute.to_token_stream().to_string() == quote!(#[cfg(doc)]).to_string()
        };
        attributes.iter().any(is_doc)
    };
    function.sig.inputs.iter().filter(|input| !is_documentation(input)).count()
}
