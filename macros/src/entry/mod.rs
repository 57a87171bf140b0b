//! `#[supervised::main]`: an `async fn main` in, a plain one out.

mod args;
mod expand;

use proc_macro2::{Group, TokenStream};
use quote::quote;
use syn::{
    Attribute, FnArg, PatType, Signature, Type,
    parse::{Parse, Parser},
};

use crate::{
    depth::{refused_arguments, refused_header},
    diagnostics::Diagnostics,
    function::{
        body::{self, Owner, Refused, TokenParameter, silenced},
        item::{Start, first_item_span},
        signature::{bare, is_token},
    },
};
use args::Args;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(refusal) = refused_arguments(&arguments).or_else(|| refused_header(&item)) {
        return quote!(#item #refusal);
    }
    let mut diagnostics = Diagnostics::default();
    let args = Args::parse(arguments, &mut diagnostics);
    let start = Start::parse.parse2(item.clone());
    let body = start.as_ref().ok().and_then(Start::body);
    let expanded = match (start, body) {
        (Ok(mut start), Some(body)) => {
            refuse_misplaced(&mut start.attributes, &mut diagnostics);
            refuse_qualifiers(&mut start.signature, &mut diagnostics);
            let token = check(&start.signature, &mut diagnostics);
            let refused = check_body(&args, &start, &body, token, &mut diagnostics);
            let token = token.map(|token| silenced(token, refused.token));
            expand::main(&args, &start, &body, token.as_ref())
        }
        _ => {
            diagnostics.refuse_at(
                first_item_span(item.clone()),
                "`#[supervised::main]` goes on the program's entry: write `async fn main(token: CancellationToken)`",
            );
            item
        }
    };
    let refusals = diagnostics.into_tokens();
    quote!(#expanded #refusals)
}

fn check_body(
    args: &Args,
    start: &Start,
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
        .map(|token| TokenParameter { pattern: &token.pat, owner: Owner::Main });
    body::check(body, token, &args.allow, diagnostics)
}

/// Refuses what an entry cannot be.
fn refuse_qualifiers(signature: &mut Signature, diagnostics: &mut Diagnostics) {
    if let Some(constness) = signature.constness.take() {
        diagnostics
            .refuse(&constness, "the entry of a program runs when it starts: remove `const`");
    }
    if let Some(abi) = signature.abi.take() {
        diagnostics.refuse(&abi, "the entry of a program is called by Rust: remove `extern`");
    }
}

/// Refuses attributes that build a runtime of their own, and takes them off.
fn refuse_misplaced(attributes: &mut Vec<Attribute>, diagnostics: &mut Diagnostics) {
    attributes.retain(|attribute| {
        let path = attribute.path();
        let is = |names: [&str; 2]| {
            path.segments.len() == 2
                && path.segments.iter().zip(names).all(|(segment, name)| segment.ident == name)
        };
        let misplaced = is(["tokio", "main"]) || is(["tokio", "test"]);
        if misplaced {
            diagnostics.refuse(
                path,
                "`#[supervised::main]` builds the runtime, and one is enough: remove this attribute",
            );
        }
        !misplaced
    });
}

/// Refuses a header that cannot be an entry; tells which parameter is the token.
fn check<'a>(signature: &'a Signature, diagnostics: &mut Diagnostics) -> Option<&'a PatType> {
    if signature.asyncness.is_none() {
        diagnostics
            .refuse(&signature.fn_token, "the runtime drives an async function: write `async fn`");
    }
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        diagnostics.refuse(
            &generics.params,
            "the entry of a program is not generic: remove the parameters",
        );
    }
    let mut token = None;
    for (at, input) in signature.inputs.iter().enumerate() {
        match input {
            FnArg::Typed(parameter) if at == 0 => {
                if let Type::Reference(reference) = bare(&parameter.ty) {
                    if let Some(mutability) = &reference.mutability {
                        diagnostics.refuse(
                            mutability,
                            "a token is shared, not changed: write `token: CancellationToken`",
                        );
                    }
                }
                token = Some(parameter);
            }
            surplus => diagnostics.refuse(
                surplus,
                "the entry takes the root token and nothing else: write `async fn main(token: CancellationToken)`",
            ),
        }
    }
    token
}
