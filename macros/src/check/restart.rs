//! Arguments of `restart` that do not fit the signature: parameters that cannot be passed to a second run, and a filter
//! for errors that the function cannot return.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, Receiver, ReceiverKind, Signature, Type};

use crate::{
    args::task::TaskArgs,
    diagnostics::Diagnostics,
    header::Header,
    syntax::{is_unconditional, peel_groups},
};

/// Refuses parameters that visibly cannot be passed to a second run. Returns whether the function is expanded
/// as one that has several.
pub(crate) fn check(
    args: &TaskArgs,
    signature: &Signature,
    header: &Header<'_>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut recurs = args.recurs();
    if let Some(argument) = args.recurs_by() {
        for (borrow, instead) in mutable_borrows(signature, header) {
            recurs = false;
            diagnostics.refuse(
                &borrow,
                format!("`{argument}` cannot take a `&mut`: a failed run may have left the value half changed\nhelp: {instead}"),
            );
        }
    }
    if let (Some(key), true) = (args.restart.filter_key(), header.output.is_unit()) {
        diagnostics.refuse(
            key,
            "`restart_if` filters errors, and this function returns none\nhelp: return `Result<(), E>`, or remove `restart_if`",
        );
    }
    recurs
}

/// The mutable borrows. A token's is refused elsewhere, with its own message.
fn mutable_borrows(
    signature: &Signature,
    header: &Header<'_>,
) -> impl Iterator<Item = (TokenStream, &'static str)> {
    let token = header.token.map(|(at, _)| at);
    let others = signature.inputs.iter().enumerate().filter(move |(at, _)| Some(*at) != token);
    others
        .filter(|(_, input)| is_unconditional(input))
        .filter_map(|(_, input)| mutable_borrow(input))
}

/// The `&mut` of a parameter, and the remedy.
fn mutable_borrow(input: &FnArg) -> Option<(TokenStream, &'static str)> {
    match input {
        FnArg::Receiver(Receiver { kind, .. }) => {
            let instead = "take `&self`, and put the fields that change behind a lock";
            match kind {
                ReceiverKind::Reference(and, _, Some(mutability)) => {
                    Some((quote!(#and #mutability), instead))
                }
                ReceiverKind::Typed(_, ty) => Some((mutable_reference(ty)?, instead)),
                _ => None,
            }
        }
        FnArg::Typed(parameter) => {
            Some((mutable_reference(&parameter.ty)?, "take it shared: `&Mutex<_>`"))
        }
    }
}

fn mutable_reference(ty: &Type) -> Option<TokenStream> {
    match peel_groups(ty) {
        Type::Reference(reference) => {
            let (and, mutability) = (&reference.and_token, reference.mutability.as_ref()?);
            Some(quote!(#and #mutability))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use crate::{expand::supervised, testing::refusals::refusals};

    #[test]
    fn a_backoff_whose_bounds_are_equal_is_accepted() {
        let arguments = quote!(restart = "on-failure", backoff = "1s..1s");
        let function = quote!(
            async fn work() -> Result<(), TaskError> {
                Ok(())
            }
        );
        assert_eq!(refusals(supervised(arguments, function)), [""; 0]);
    }
}
