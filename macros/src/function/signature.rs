//! The header of a supervised function: where its token is, and in which form.

use syn::{FnArg, Pat, PatType, Signature, Type};

use super::args::Args;
use crate::{diagnostics::Diagnostics, output::Output};

/// How the token comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenForm {
    /// `token: &CancellationToken`: lent or given by the caller, lent to the body.
    Borrowed,
    /// `token: CancellationToken`: given.
    Owned,
}

/// What the expansion needs to know of a header.
pub(crate) struct Header<'a> {
    /// Which parameter is the token, and its form; none where the attribute inserts one.
    pub(crate) token: Option<(usize, TokenForm)>,
    token_parameter: Option<&'a PatType>,
    pub(crate) output: Output,
}

impl<'a> Header<'a> {
    /// Finds the token and the output, and refuses what cannot be supervised.
    pub(crate) fn read(
        signature: &'a Signature,
        args: &Args,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut output = Output::new(&signature.output);
        output.check(diagnostics);
        let found = find_token(signature, args, diagnostics);
        Self {
            token: found.map(|(at, form, _)| (at, form)),
            token_parameter: found.map(|(_, _, parameter)| parameter),
            output,
        }
    }

    pub(crate) fn token_type(&self) -> Option<&'a Type> {
        self.token_parameter.map(|parameter| &*parameter.ty)
    }

    pub(crate) fn token_parameter(&self) -> Option<&'a PatType> {
        self.token_parameter
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

fn find_token<'a>(
    signature: &'a Signature,
    args: &Args,
    diagnostics: &mut Diagnostics,
) -> Option<(usize, TokenForm, &'a PatType)> {
    let typed = signature.inputs.iter().enumerate().filter_map(|(at, input)| match input {
        FnArg::Typed(parameter) => Some((at, parameter)),
        FnArg::Receiver(_) => None,
    });
    let named = args.token.as_ref().map(|given| &given.value);
    let mut tokens = typed.filter(|(_, parameter)| match named {
        Some(name) => is_named(&parameter.pat, name),
        None => is_token(&parameter.ty),
    });

    let Some((at, parameter)) = tokens.next() else {
        if let Some(name) = named {
            diagnostics.refuse(
                name,
                format!("there is no parameter `{name}`: name the one that is the token, or remove `token`"),
            );
        }
        return None;
    };
    let is_other = |input: &&FnArg| matches!(input, FnArg::Typed(_)) && is_unconditional(input);
    if signature.inputs.iter().take(at).any(|input| is_other(&input)) {
        diagnostics.refuse(
            &parameter.pat,
            "the token is the first parameter, right after `self`: move it to the front",
        );
    }
    for (_, second) in tokens {
        diagnostics.refuse(
            &second.pat,
            "a supervised function obeys one token: remove this one, or hand it in inside another type",
        );
    }
    Some((at, form(parameter, diagnostics), parameter))
}

/// Whether a parameter counts: one under `cfg` may not be there.
pub(super) fn is_unconditional(input: &FnArg) -> bool {
    let attributes = match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(parameter) => &parameter.attrs,
    };
    !attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

fn form(parameter: &PatType, diagnostics: &mut Diagnostics) -> TokenForm {
    match peel_groups(&parameter.ty) {
        Type::Reference(reference) => {
            if let Some(mutability) = &reference.mutability {
                diagnostics.refuse(
                    mutability,
                    "a token is shared, not changed: write `&CancellationToken`",
                );
            }
            if let Type::Reference(second) = peel_groups(&reference.elem) {
                diagnostics
                    .refuse(&second.and_token, "a token is lent once: write `&CancellationToken`");
            }
            TokenForm::Borrowed
        }
        _ => TokenForm::Owned,
    }
}

/// The type itself, out of parentheses and of the group that a `macro_rules!` fragment wraps it in.
pub(crate) fn peel_groups(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel_groups(&group.elem),
        Type::Paren(paren) => peel_groups(&paren.elem),
        ty => ty,
    }
}

fn is_named(pattern: &Pat, name: &syn::Ident) -> bool {
    matches!(pattern, Pat::Ident(pattern) if pattern.ident == *name)
}

/// Whether a type visibly is a token, lent or given.
pub(crate) fn is_token(ty: &Type) -> bool {
    match peel_groups(ty) {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|segment| segment.ident == "CancellationToken")
        }
        Type::Reference(reference) => is_token(&reference.elem),
        _ => false,
    }
}
