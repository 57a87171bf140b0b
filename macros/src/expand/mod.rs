//! The flow of each macro: refuse what nests too deeply, parse the arguments and the item, check them, print.
//!
//! 1. Each step adds its refusals to one [`Diagnostics`]: all mistakes of an item are reported in one compile.
//! 2. An item that was refused is still expanded if it can be, or its callers would not compile either.
//! 3. Tokens are never parsed before `check::depth` has accepted them.

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Expr, ReturnType,
    parse::{Parse, Parser},
};

use crate::{
    args::{
        allow::Allow,
        main::MainArgs,
        task::{OnCancel, TaskArgs},
        test::TestArgs,
    },
    check::{
        self, Refused, depth,
        token::{Owner, TokenParameter},
    },
    diagnostics::Diagnostics,
    emit,
    header::Header,
    item::{
        self,
        entry::EntryFunction,
        function::{Function, Item},
        instrument,
        messages::EntryKind,
    },
    output::Output,
    syntax::is_token,
};

/// `#[supervised]`.
pub(crate) fn supervised(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(refusal) = refuse_deep(&arguments, &item) {
        return refusal;
    }
    let unmarked = instrument::unmarked(&arguments);
    if let (None, Some(swapped)) = (&unmarked, instrument::swapped(&arguments, &item)) {
        return swapped;
    }
    let arguments = unmarked.unwrap_or(arguments);
    let mut diagnostics = Diagnostics::default();
    let args = TaskArgs::of_function(arguments, &mut diagnostics);
    let expanded = match item::function::read(item.clone(), &mut diagnostics) {
        Item::Function(function) => supervised_function(&args, &function, &mut diagnostics),
        Item::Main(function) => emit::function::refused_main(&function),
        Item::Unreadable(item) => item,
        Item::Foreign => item,
    };
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

fn supervised_function(
    args: &TaskArgs,
    function: &Function,
    diagnostics: &mut Diagnostics,
) -> TokenStream {
    let header = Header::read(&function.signature, args.token_name(), diagnostics);
    args.check(header.has_token(), diagnostics);
    let recurs = check::restart::check(args, &function.signature, &header, diagnostics);
    // An attribute above may have rewritten a function that is not async: its body is not the author's.
    let refused = if function.is_async {
        let token = header
            .token_parameter()
            .filter(|_| args.on_cancel(true) == OnCancel::Cooperate)
            .map(|parameter| TokenParameter {
                pattern: &parameter.pat,
                owner: Owner::Function,
                is_decided: args.decides_on_cancel(),
            });
        check::body(&function.body, token, &args.allow, diagnostics)
    } else {
        Refused::default()
    };
    emit::function::function(args, function, &header, recurs, refused)
}

/// `#[supervised::main]`.
pub(crate) fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(refusal) = refuse_deep(&arguments, &item) {
        return refusal;
    }
    let mut diagnostics = Diagnostics::default();
    let args = MainArgs::parse(arguments, &mut diagnostics);
    let expanded = entry(EntryKind::Main, item, &args.allow, &mut diagnostics)
        .map_or_else(|item| item, |(entry, refused)| emit::entry::main(&args, &entry, refused));
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

/// `#[supervised::test]`; `has_test_util` is that feature, without which time cannot be paused.
pub(crate) fn test(arguments: TokenStream, item: TokenStream, has_test_util: bool) -> TokenStream {
    if let Some(refusal) = refuse_deep(&arguments, &item) {
        return refusal;
    }
    let mut diagnostics = Diagnostics::default();
    let args = TestArgs::parse(arguments, has_test_util, &mut diagnostics);
    let expanded = entry(EntryKind::Test, item, &args.allow, &mut diagnostics)
        .map_or_else(|item| item, |(entry, refused)| emit::entry::test(&args, &entry, refused));
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

/// Reads and checks an entry; `Err` holds the tokens to return instead.
fn entry(
    kind: EntryKind,
    item: TokenStream,
    allow: &Allow,
    diagnostics: &mut Diagnostics,
) -> Result<(EntryFunction, Refused), TokenStream> {
    let entry = item::entry::read(kind, item, diagnostics)?;
    // An attribute above may have rewritten a function that is not async: its body is not the author's.
    if entry.function.signature.asyncness.is_none() {
        return Ok((entry, Refused::default()));
    }
    // A parameter that is not a token is an error of its type.
    let token = entry.token().filter(|token| is_token(&token.ty)).map(|token| TokenParameter {
        pattern: &token.pat,
        owner: Owner::Entry,
        is_decided: true,
    });
    let refused = check::body(&entry.body, token, allow, diagnostics);
    Ok((entry, refused))
}

/// `task!`.
pub(crate) fn task(input: TokenStream) -> TokenStream {
    // The closure is parsed with its body.
    if !depth::fits_parser_stack(input.clone()) {
        let refusal = depth::refuse_deep_arguments(&input);
        return quote!({ #refusal });
    }
    let mut diagnostics = Diagnostics::default();
    let expanded = item::task::Call::parse
        .parse2(input)
        .map_err(|error| diagnostics.push(error))
        .ok()
        .and_then(|call| supervised_closure(call, &mut diagnostics));
    let refusals = diagnostics.into_tokens();
    // Without a closure the refusal is the value: the compiler reports nothing more about an error value.
    quote!({ #refusals #expanded })
}

fn supervised_closure(
    call: item::task::Call,
    diagnostics: &mut Diagnostics,
) -> Option<TokenStream> {
    let item::task::Call { name, arguments, closure } = call;
    let args = TaskArgs::of_task(arguments, diagnostics);
    let token = item::task::read_token(&closure, diagnostics)?;
    let has_token = token.is_named();
    args.check(has_token, diagnostics);
    let parameter =
        (has_token && args.on_cancel(true) == OnCancel::Cooperate).then_some(TokenParameter {
            pattern: token.pattern,
            owner: Owner::Task,
            is_decided: args.decides_on_cancel(),
        });
    // Without a return type the body is a future, which is awaited.
    let is_future = matches!(closure.output, ReturnType::Default);
    let refused = check::parsed_body(&closure.body, is_future, parameter, &args.allow, diagnostics);
    if is_future && refused.calls && matches!(*closure.body, Expr::Call(_) | Expr::MethodCall(_)) {
        // The call's result is no supervised output either, which is not another mistake.
        return None;
    }
    let output = if is_future {
        None
    } else {
        let mut output = Output::new(&closure.output);
        output.check(diagnostics);
        if output.is_refused() {
            return None;
        }
        Some(output)
    };
    Some(emit::task::closure(&args, &name, &closure, &token, output.as_ref()))
}

/// The item unchanged, beside a refusal, if arguments or item nest too deeply to be parsed.
fn refuse_deep(arguments: &TokenStream, item: &TokenStream) -> Option<TokenStream> {
    let refusal =
        depth::refuse_deep_arguments(arguments).or_else(|| depth::refuse_deep_header(item))?;
    Some(quote!(#item #refusal))
}
