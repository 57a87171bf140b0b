//! The functions under `#[supervised::main]` and `#[supervised::test]`.

use proc_macro2::{Group, TokenStream};
use quote::quote;
use syn::{
    FnArg, PatType, Signature, Type,
    parse::{Parse, Parser},
};

use super::{
    RawFunction, compile_trap, messages::EntryKind, misplaced, refuse_qualifiers,
    span_after_attributes, with_compile_trap,
};
use crate::{diagnostics::Diagnostics, syntax::peel_groups};

/// A function that is expanded as an entry, even if parts of it were refused.
pub(crate) struct EntryFunction {
    pub(crate) function: RawFunction,
    pub(crate) body: Group,
}

impl EntryFunction {
    /// The parameter that takes the root token.
    pub(crate) fn token(&self) -> Option<&PatType> {
        match self.function.signature.inputs.first() {
            Some(FnArg::Typed(parameter)) => Some(parameter),
            _ => None,
        }
    }
}

/// Parses the item and refuses anything that cannot be an entry; `Err` holds the tokens to return instead.
pub(crate) fn read(
    kind: EntryKind,
    item: TokenStream,
    diagnostics: &mut Diagnostics,
) -> Result<EntryFunction, TokenStream> {
    let function = RawFunction::parse.parse2(item.clone());
    let body = function.as_ref().ok().and_then(RawFunction::body);
    if let (Err(_), Some(broken)) = (&function, with_compile_trap(item.clone())) {
        return Err(match kind {
            // An `async fn main` would be one more error.
            EntryKind::Main => {
                let trap = compile_trap();
                quote!(fn main() { #trap })
            }
            EntryKind::Test => broken,
        });
    }
    let (Ok(mut function), Some(body)) = (function, body) else {
        diagnostics.refuse_at(span_after_attributes(item.clone()), kind.is_no_function());
        return Err(item);
    };
    let beneath = match kind {
        EntryKind::Main => misplaced::beneath_main,
        EntryKind::Test => misplaced::beneath_test,
    };
    let misplaced = misplaced::refuse(&mut function.attributes, beneath, diagnostics);
    // `#[tokio::test]` above this attribute has already rewritten the body.
    if misplaced && kind == EntryKind::Test && function.signature.asyncness.is_none() {
        return Err(item);
    }
    let (is_const, is_extern) = (kind.is_const(), kind.is_extern());
    refuse_qualifiers(&mut function.signature, is_const, is_extern, diagnostics);
    check_header(kind, &function.signature, diagnostics);
    // A method is no test to Rust either, and its body may name `self`.
    if kind == EntryKind::Test && function.signature.receiver().is_some() {
        return Err(item);
    }
    Ok(EntryFunction { function, body })
}

/// Refuses a header that cannot be an entry's.
fn check_header(kind: EntryKind, signature: &Signature, diagnostics: &mut Diagnostics) {
    if signature.asyncness.is_none() {
        diagnostics.refuse(
            &signature.fn_token,
            "this attribute needs an async function\nhelp: write `async fn`",
        );
    }
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        diagnostics.refuse(&generics.params, kind.is_generic());
    }
    for (at, input) in signature.inputs.iter().enumerate() {
        match input {
            FnArg::Typed(parameter) if at == 0 => {
                if let Type::Reference(reference) = peel_groups(&parameter.ty) {
                    if let Some(mutability) = &reference.mutability {
                        diagnostics.refuse(
                            mutability,
                            "a token is shared and cannot be `&mut`\nhelp: write `token: CancellationToken`",
                        );
                    }
                }
            }
            surplus => diagnostics.refuse(surplus, kind.takes_more(&signature.ident)),
        }
    }
}
