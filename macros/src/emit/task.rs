//! `task!("name", arguments…, |token| …)`: a foreign future, or an async body, as a supervised one.
//!
//! ```text
//! Input   task!("http", |token| axum::serve(listener, app).with_graceful_shutdown(token.cancelled_owned()))
//!
//! Output  move |token: CancellationToken| {
//!             let token = own_token_of_closure(token);
//!             let own = Clone::clone(&token);
//!             supervise_foreign(spec, own, axum::serve(…)…)
//!         }
//!
//! Input   task!("tick", |token| -> Result<(), Error> { body })
//!
//! Output  move |token: CancellationToken| {
//!             let own = Clone::clone(&token);
//!             supervise(spec, own, output::<Result<(), Error>>(…), async move { let token = own_token(token); ({ body }) })
//!         }
//! ```
//!
//! A closure without a name for the token passes it on. The expression form makes its future in the closure: a closure
//! for many items may clone its captures first.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Expr, ExprClosure, LitStr};

use super::{async_body, lines};
use crate::{args::task::TaskArgs, item::task::ClosureToken, output::Output, syntax::first_span};

/// The supervised closure. Without an output its body is a future, with one that of an `async` block.
pub(crate) fn closure(
    args: &TaskArgs,
    name: &LitStr,
    closure: &ExprClosure,
    closure_token: &ClosureToken<'_>,
    output: Option<&Output>,
) -> TokenStream {
    let krate = &args.krate;
    let ClosureToken { pattern, ty } = closure_token;
    let has_token = closure_token.is_named();
    let token = Ident::new("__supervised_token", Span::mixed_site());
    // A type that is not a token's is an error at that type.
    let taken = ty.map_or_else(
        || quote!(let #pattern = #token;),
        |ty| {
            let given = Ident::new("__supervised_token", token.span().located_at(first_span(ty)));
            quote!(let #pattern: #ty = #given;)
        },
    );
    let own = Ident::new("__supervised_own", Span::mixed_site());
    let body = &closure.body;
    let is_future = output.is_none();
    let takes_token = has_token && !is_future;
    let spec = args.spec(&name.value(), name.span(), has_token, takes_token);
    let take_own = takes_token.then(|| quote!(let #token = #krate::__private::own_token(#token);));
    // The future takes the token before there is a run.
    let take_now = (has_token && is_future)
        .then(|| quote!(let #token = #krate::__private::own_token_of_closure(#token);));
    let mut prelude = TokenStream::new();
    let supervised = match output {
        None => {
            let marked = lines::future(krate, args.lines, body);
            prelude = marked.prelude;
            let body = marked.body;
            quote! {
                #taken
                #krate::__private::supervise_foreign(#spec, #own, #body)
            }
        }
        Some(output) => {
            let contract = output.contract(krate);
            let return_edge = output.return_edge(krate);
            let before = quote!(#take_own #taken #return_edge);
            let run = match body.to_token_stream().into_iter().next() {
                Some(TokenTree::Group(block)) if matches!(**body, Expr::Block(_)) => {
                    let marked = lines::block(krate, args.lines, None, &block);
                    prelude = marked.prelude;
                    async_body(&marked.body, before)
                }
                _ => quote!(async move { #before (#body) }),
            };
            quote! {
                #krate::__private::supervise(
                    #spec,
                    #own,
                    #contract,
                    #run,
                )
            }
        }
    };
    let inputs = closure.inputs.iter().skip(1);
    quote! {
        move |#token: #krate::CancellationToken #(, #inputs)*| {
            #take_now
            let #own = ::core::clone::Clone::clone(&#token);
            #prelude
            #supervised
        }
    }
}
