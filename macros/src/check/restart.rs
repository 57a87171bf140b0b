//! Parameters that cannot be passed to a second run.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, Receiver, ReceiverKind, Signature, Type};

use crate::{
    args::restart::Restart,
    diagnostics::Diagnostics,
    header::Header,
    syntax::{is_unconditional, peel_groups},
};

/// Refuses parameters that visibly cannot be passed to a second run. Returns whether the function is expanded
/// as one that restarts.
pub(crate) fn check(
    restart: &Restart,
    signature: &Signature,
    header: &Header<'_>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut is_restarted = restart.after().is_some();
    if restart.was_given() {
        for (borrow, instead) in mutable_borrows(signature, header) {
            is_restarted = false;
            diagnostics.refuse(
                &borrow,
                format!("`restart` cannot take a `&mut`: a failed run may have left the value half changed\nhelp: {instead}"),
            );
        }
    }
    is_restarted
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
