//! The rewritten entry.
//!
//! ```text
//! Input   async fn main(token: CancellationToken) -> Result<(), Error> { body }
//!
//! Output  fn main() -> ExitCode {
//!             return __private::main(options, spec, exit, |token| async move { let token = token; match () { () => ({ body }) } });
//!         }
//!
//! Input   async fn it_works() -> Result<(), Error> { body }
//!
//! Output  #[test]
//!         fn it_works() -> Result<(), Error> {
//!             return __private::test(options, spec, verdict, |token| async move { let _ = token; match () { () => ({ body }) } });
//!         }
//! ```

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{PatType, Path, Type, Visibility};

use super::{allow_unused, async_body, borrowed_type, braced_at, lines};
use crate::{
    args::{main::MainArgs, test::TestArgs},
    check::Refused,
    item::{RawFunction, entry::EntryFunction, split_inner_attributes},
    output::Output,
    syntax::{first_span, last_span, peel_groups},
};

/// The function under `#[supervised::main]`.
pub(crate) fn main(args: &MainArgs, entry: &EntryFunction, refused: Refused) -> TokenStream {
    let krate = &args.krate;
    let output = Output::new(&entry.function.signature.output);
    let exit = output.exit(krate);
    // The `ExitCode` of a public entry needs no `#[must_use]`.
    let mark = (!matches!(entry.function.visibility, Visibility::Inherited))
        .then(|| quote!(#[allow(clippy::must_use_candidate)]));
    let Parts { head, inner, arguments } = Parts::new(
        (krate, args.lines),
        args.options(),
        exit,
        mark.unwrap_or_default(),
        entry,
        refused,
    );
    let exit_code = quote_spanned!(last_span(&entry.function.signature)=> ExitCode);
    let block = braced_at(
        &entry.body,
        quote! {
            #inner
            return #krate::__private::main(#arguments);
        },
    );
    quote!(#head -> ::std::process::#exit_code #block)
}

/// The function under `#[supervised::test]`.
pub(crate) fn test(args: &TestArgs, entry: &EntryFunction, refused: Refused) -> TokenStream {
    let krate = &args.krate;
    let written = &entry.function.signature.output;
    // `#[test]` checks the return type of a test, at the same place.
    let verdict = Output::new(written).verdict(krate);
    // After the author's attributes: a `cfg` among them is evaluated first.
    let mark = quote!(#[::core::prelude::v1::test]);
    let Parts { head, inner, arguments } =
        Parts::new((krate, args.lines), args.options(), verdict, mark, entry, refused);
    let block = braced_at(
        &entry.body,
        quote! {
            #inner
            return #krate::__private::test(#arguments);
        },
    );
    quote!(#head #written #block)
}

/// The parts of both entries.
struct Parts {
    /// Up to the return type.
    head: TokenStream,
    /// `#![…]` at the head of the body.
    inner: TokenStream,
    /// Of the one call.
    arguments: TokenStream,
}

impl Parts {
    /// `judge` classifies the output, and `mark` makes the function an entry.
    fn new(
        (krate, marks_lines): (&Path, bool),
        options: TokenStream,
        judge: TokenStream,
        mark: TokenStream,
        entry: &EntryFunction,
        refused: Refused,
    ) -> Self {
        let EntryFunction { function, body } = entry;
        let token = entry.token().map(|token| allow_unused(token, refused.token));
        let output = Output::new(&function.signature.output);
        let return_edge = output.return_edge(krate);
        let policy = if token.is_some() {
            quote!(.cooperate().grace(::core::option::Option::None))
        } else {
            TokenStream::new()
        };
        let injected = Ident::new("__supervised_token", Span::mixed_site());
        let binding = binding(&injected, token.as_ref());
        let RawFunction { attributes, visibility, signature, .. } = function;
        let mut attributes = attributes.clone();
        let (inner, body) = split_inner_attributes(body, &mut attributes);
        let fn_token = &signature.fn_token;
        let ident = &signature.ident;
        let name = ident.to_string();
        let new = quote_spanned!(ident.span()=> new);
        let head = quote! {
            #(#attributes)*
            #mark
            #visibility #fn_token #ident()
        };
        let marked = lines::block(krate, marks_lines && signature.asyncness.is_some(), None, &body);
        let prelude = &marked.prelude;
        let run = async_body(&marked.body, quote!(#binding #return_edge #prelude));
        let arguments = quote! {
            #options,
            {
                static TOKIO_SUPERVISED_SPEC: #krate::__private::TaskSpec =
                    #krate::__private::TaskSpec::#new(
                        #name,
                        #krate::__private::Policy::DEFAULT #policy
                    );
                &TOKIO_SUPERVISED_SPEC
            },
            #judge,
            |#injected: #krate::CancellationToken| #run,
        };
        Self { head, inner: quote!(#(#inner)*), arguments }
    }
}

fn binding(injected: &Ident, token: Option<&PatType>) -> TokenStream {
    match token {
        // If the type is not that of a token, the compiler reports it at the type.
        Some(PatType { attrs, pat, ty, .. }) if matches!(peel_groups(ty), Type::Reference(_)) => {
            let value = located(injected, ty);
            let ty = borrowed_type(ty);
            quote!(#(#attrs)* let #pat: #ty = &#value;)
        }
        Some(PatType { attrs, pat, ty, .. }) => {
            let value = located(injected, ty);
            quote!(#(#attrs)* let #pat: #ty = #value;)
        }
        None => quote!(let _ = #injected;),
    }
}

/// Returns the same name, with errors reported at a user's type.
fn located(name: &Ident, ty: &Type) -> Ident {
    Ident::new(&name.to_string(), name.span().located_at(first_span(ty)))
}
