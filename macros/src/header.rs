//! The header of a supervised function: the position and the form of its token.

use syn::{FnArg, Ident, Pat, PatType, Signature, Type};

use crate::{
    diagnostics::Diagnostics,
    output::Output,
    syntax::{is_token, is_unconditional, peel_groups},
};

/// How the token is passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenForm {
    /// `token: &CancellationToken`: the caller passes a reference or a value, the body gets a reference.
    Borrowed,
    /// `token: CancellationToken`: passed by value.
    Owned,
}

/// The properties of a header that the expansion needs.
pub(crate) struct Header<'a> {
    /// Which parameter is the token, and its form; `None` if the attribute inserts one.
    pub(crate) token: Option<(usize, TokenForm)>,
    token_parameter: Option<&'a PatType>,
    pub(crate) output: Output,
}

impl<'a> Header<'a> {
    /// Finds the token and the output, and refuses what cannot be supervised.
    pub(crate) fn read(
        signature: &'a Signature,
        named_token: Option<&Ident>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut output = Output::new(&signature.output);
        output.check(diagnostics);
        let found = find_token(signature, named_token, diagnostics);
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
    named: Option<&Ident>,
    diagnostics: &mut Diagnostics,
) -> Option<(usize, TokenForm, &'a PatType)> {
    let typed = signature.inputs.iter().enumerate().filter_map(|(at, input)| match input {
        FnArg::Typed(parameter) => Some((at, parameter)),
        FnArg::Receiver(_) => None,
    });
    let mut tokens = typed.filter(|(_, parameter)| match named {
        Some(name) => is_named(&parameter.pat, name),
        None => is_token(&parameter.ty),
    });

    let Some((at, parameter)) = tokens.next() else {
        if let Some(name) = named {
            diagnostics.refuse(
                name,
                format!("no parameter is named `{name}`\nhelp: write the name of the token's parameter, or remove `token`"),
            );
        }
        return None;
    };
    let is_other = |input: &&FnArg| matches!(input, FnArg::Typed(_)) && is_unconditional(input);
    if signature.inputs.iter().take(at).any(|input| is_other(&input)) {
        diagnostics.refuse(
            &parameter.pat,
            "the token must be the first parameter, after `self`\nhelp: move it to the front",
        );
    }
    for (_, second) in tokens {
        diagnostics.refuse(
            &second.pat,
            "a supervised function takes one token, and this is a second\nhelp: remove it, or pass it inside another type",
        );
    }
    Some((at, form(parameter, diagnostics), parameter))
}

fn form(parameter: &PatType, diagnostics: &mut Diagnostics) -> TokenForm {
    match peel_groups(&parameter.ty) {
        Type::Reference(reference) => {
            if let Some(mutability) = &reference.mutability {
                diagnostics.refuse(
                    mutability,
                    "a token is shared and cannot be `&mut`\nhelp: write `&CancellationToken`",
                );
            }
            if let Type::Reference(second) = peel_groups(&reference.elem) {
                diagnostics.refuse(
                    &second.and_token,
                    "this token is behind two references\nhelp: write `&CancellationToken`",
                );
            }
            TokenForm::Borrowed
        }
        _ => TokenForm::Owned,
    }
}

fn is_named(pattern: &Pat, name: &Ident) -> bool {
    matches!(pattern, Pat::Ident(pattern) if pattern.ident == *name)
}
