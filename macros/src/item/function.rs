//! The item under the attribute: a function's header, its body left as tokens, or another item.

use proc_macro2::{Group, TokenStream};
use syn::{
    Attribute, Signature, Token, Visibility,
    parse::{Parse, Parser},
};

use super::{
    RawFunction, misplaced, refuse_qualifiers, span_after_attributes, split_inner_attributes,
    with_compile_trap,
};
use crate::diagnostics::Diagnostics;

/// A function whose body stays unparsed tokens: a half-typed one still expands.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    /// `#![…]` at the head of the body.
    pub(crate) inner_attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) signature: Signature,
    /// As it was written: the signature is that of a plain function by now.
    pub(crate) is_async: bool,
    pub(crate) body: Group,
}

pub(crate) enum Item {
    /// Expanded, even if parts of it were refused.
    Function(Box<Function>),
    /// Refused; a program still needs its entry point, and what it uses stays in use.
    Main(Box<Function>),
    /// A function whose header does not parse: the compiler reports that itself, with a better message.
    Unreadable(TokenStream),
    /// Refused; stays as it is.
    Foreign,
}

/// Parses the item and refuses anything that cannot be supervised.
pub(crate) fn read(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Item {
    let Ok(start) = RawFunction::parse.parse2(tokens.clone()) else {
        if let Some(broken) = with_compile_trap(tokens.clone()) {
            return Item::Unreadable(broken);
        }
        diagnostics.refuse_at(
            span_after_attributes(tokens),
            "`#[supervised]` belongs on an `async fn`\nhelp: put it on the function that does the work",
        );
        return Item::Foreign;
    };
    let body = start.body();
    let RawFunction { mut attributes, visibility, defaultness, mut signature, .. } = start;

    if is_async_trait(&signature) {
        diagnostics.refuse(
            &signature.fn_token,
            "`#[async_trait]` has already rewritten this function\nhelp: declare the trait method as `fn … -> impl Future<Output = …> + Send` and remove `#[async_trait]`\nhelp: for a `dyn` trait, call a supervised function from the method instead",
        );
        return Item::Foreign;
    }
    let Some(body) = body else {
        diagnostics.refuse(
            &signature.ident,
            "a trait method without a body cannot be supervised\nhelp: put `#[supervised]` on its implementations",
        );
        return Item::Foreign;
    };
    let is_async = signature.asyncness.is_some();
    let misplaced = misplaced::refuse(&mut attributes, misplaced::beneath_supervised, diagnostics);
    let is_main = signature.ident == "main";
    if !is_main {
        check_signature(&mut signature, misplaced, diagnostics);
    } else if !misplaced {
        diagnostics.refuse(
            &signature.ident,
            "`main` needs a runtime and signal handling, which `#[supervised]` does not provide\nhelp: write `#[supervised::main]` instead of `#[supervised]`",
        );
    }
    let (inner_attributes, body) = split_inner_attributes(&body, &mut attributes);
    let function = Function {
        attributes,
        inner_attributes,
        visibility,
        defaultness,
        signature,
        is_async,
        body,
    };
    if is_main { Item::Main(Box::new(function)) } else { Item::Function(Box::new(function)) }
}

/// Refuses qualifiers that an async function cannot have, and removes them: the rest still expands.
fn check_signature(signature: &mut Signature, misplaced: bool, diagnostics: &mut Diagnostics) {
    let is_const =
        "a supervised function runs on a runtime and cannot be `const`\nhelp: remove `const`";
    let is_extern =
        "a supervised function returns a future and cannot be `extern`\nhelp: remove `extern`";
    refuse_qualifiers(signature, is_const, is_extern, diagnostics);
    if let Some(variadic) = signature.variadic.take() {
        diagnostics
            .refuse(&variadic.dots, "a supervised function cannot be variadic\nhelp: remove `...`");
    }
    if signature.asyncness.is_none() && !misplaced {
        diagnostics.refuse(
            &signature.fn_token,
            "a supervised function must be async: it is cancelled at its `.await`s\nhelp: write `async fn`",
        );
    }
    signature.asyncness = None;
}

/// Whether this is the output of `#[async_trait]`: a plain `fn` with a lifetime of that name.
fn is_async_trait(signature: &Signature) -> bool {
    signature.asyncness.is_none()
        && signature.generics.lifetimes().any(|generic| generic.lifetime.ident == "async_trait")
}
