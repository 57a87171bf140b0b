//! The rewritten entry.
//!
//! ```text
//! Input   async fn main(token: CancellationToken) -> Result<(), Error> { body }
//!
//! Output  fn main() -> ExitCode {
//!             __private::main(options, spec, exit, |token| async move { let token = token; ({ body }) })
//!         }
//! ```

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{PatType, Type};

use super::args::Args;
use crate::{
    diagnostics::first_span,
    function::item::{Start, split_inner_attributes},
    function::{expand::lent, signature::bare},
    output::Output,
};

pub(crate) fn main(
    args: &Args,
    start: &Start,
    body: &Group,
    token: Option<&PatType>,
) -> TokenStream {
    let krate = &args.krate;
    let options = args.options();
    let output = Output::new(&start.signature.output);
    let exit = output.exit(krate);
    let return_edge = output.return_edge();
    let policy = if token.is_some() {
        quote!(.cooperate().grace(::core::option::Option::None))
    } else {
        TokenStream::new()
    };
    let injected = Ident::new("__supervised_token", Span::mixed_site());
    let binding = match token {
        // Told at the type, where it is none of a token.
        Some(PatType { attrs, pat, ty, .. }) if matches!(bare(ty), Type::Reference(_)) => {
            let value = located(&injected, ty);
            let ty = lent(ty);
            quote!(#(#attrs)* let #pat: #ty = &#value;)
        }
        Some(PatType { attrs, pat, ty, .. }) => {
            let value = located(&injected, ty);
            quote!(#(#attrs)* let #pat: #ty = #value;)
        }
        None => quote!(let _ = #injected;),
    };
    let (inner, body) = split_inner_attributes(body);
    let Start { attributes, visibility, signature, .. } = start;
    let fn_token = &signature.fn_token;
    let ident = &signature.ident;
    let name = ident.to_string();
    let new = quote_spanned!(ident.span()=> new);
    quote! {
        #(#attributes)*
        #(#inner)*
        #visibility #fn_token #ident() -> ::std::process::ExitCode {
            #krate::__private::main(
                #options,
                {
                    static TOKIO_SUPERVISED_SPEC: #krate::__private::TaskSpec =
                        #krate::__private::TaskSpec::#new(
                            #name,
                            #krate::__private::Policy::DEFAULT #policy
                        );
                    &TOKIO_SUPERVISED_SPEC
                },
                #exit,
                |#injected: #krate::CancellationToken| async move {
                    #binding
                    #return_edge
                    (#body)
                },
            )
        }
    }
}

/// The same name, told at a type of the user's.
fn located(name: &Ident, ty: &Type) -> Ident {
    Ident::new(&name.to_string(), name.span().located_at(first_span(ty)))
}
