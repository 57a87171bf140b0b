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
//! A closure without a name for the token hands on what it was given. The expression form makes its future in the closure, so that a closure for many items may clone
//! what it captured before it hands the clone on.

#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Expr, ExprClosure, LitStr, Pat, PatType, ReturnType, Token, Type,
    parse::{Parse, ParseStream, Parser},
    token,
};

use crate::{
    depth,
    diagnostics::{Diagnostics, first_span},
    function::{
        allow::ALLOW,
        args::{Args, OnCancel},
        body::{self, Owner, TokenParameter},
        expand::async_body,
        signature::peel_groups,
    },
    output::Output,
};

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    // The closure is parsed with its body.
    if !depth::fits_parser_stack(input.clone()) {
        let refusal = depth::refuse_deep_arguments(&input);
        return quote!({ #refusal });
    }
    let mut diagnostics = Diagnostics::default();
    let expanded = Call::parse
        .parse2(input)
        .map_err(|error| diagnostics.push(error))
        .ok()
        .and_then(|call| call.expand(&mut diagnostics));
    let refusals = diagnostics.into_tokens();
    // Without a closure the refusal is the value: the compiler asks nothing of a value that is an error.
    quote!({ #refusals #expanded })
}

/// The call, its arguments not yet read.
struct Call {
    name: LitStr,
    arguments: TokenStream,
    closure: ExprClosure,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let Ok(name) = input.parse::<LitStr>() else {
            return Err(syn::Error::new(
                input.span(),
                "`task!` begins with the task's name: write `task!(\"http\", |token| …)`",
            ));
        };
        if name.value().trim().is_empty() {
            return Err(syn::Error::new(
                name.span(),
                "the name must not be empty, since it labels metrics, events and errors: write `task!(\"http\", |token| …)`",
            ));
        }
        if input.is_empty() {
            return Err(no_closure(name.span()));
        }
        if !input.peek(Token![,]) {
            return Err(input.error(
                "`task!` needs a comma between the name and what follows\nhelp: write `task!(\"http\", |token| …)`",
            ));
        }
        input.parse::<Token![,]>()?;
        let mut arguments = TokenStream::new();
        // Where the last of them begins, if it is not an argument.
        let mut other = None;
        let mut begins = true;
        while !input.is_empty() && !starts_closure(input) {
            if starts_future(input) {
                return Err(no_closure_but_a_future(input.span()));
            }
            if begins {
                other = (!starts_argument(input)).then(|| input.span());
            }
            begins = input.peek(Token![,]);
            arguments.extend([input.parse::<TokenTree>()?]);
        }
        if input.is_empty() {
            return Err(other.map_or_else(|| no_closure(name.span()), no_closure_but_a_future));
        }
        let closure = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(
                input.error("the arguments of `task!` stand between the name and the closure: write `task!(\"http\", limit = 4, |token| …)`")
            );
        }
        Ok(Self { name, arguments, closure })
    }
}

fn starts_closure(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let is_cut = ahead.parse::<Option<Token![async]>>().is_err()
        || ahead.parse::<Option<Token![move]>>().is_err();
    !is_cut && (ahead.peek(Token![|]) || ahead.peek(Token![||]))
}

fn starts_argument(input: ParseStream<'_>) -> bool {
    input.peek2(Token![=])
        || input.peek2(token::Paren)
            && input.fork().parse::<Ident>().is_ok_and(|key| key == ALLOW.0)
}

/// Whether an `async` block stands where the closure belongs.
fn starts_future(input: ParseStream<'_>) -> bool {
    (input.peek(Token![async]) || input.peek(Token![move])) && !input.peek2(Token![=])
}

fn no_closure(place: Span) -> syn::Error {
    syn::Error::new(
        place,
        "`task!` needs a closure that takes the token\nhelp: add it last: `task!(\"http\", |token| …)`",
    )
}

fn no_closure_but_a_future(place: Span) -> syn::Error {
    syn::Error::new(
        place,
        "`task!` takes a closure that makes the future, since the future needs the token of its scope\nhelp: write `|token| async move { … }`, or `|token| work(token)`",
    )
}

impl Call {
    fn expand(self, diagnostics: &mut Diagnostics) -> Option<TokenStream> {
        let Self { name, arguments, closure } = self;
        let args = Args::of_task(arguments, diagnostics);
        if let Some(asyncness) = &closure.asyncness {
            diagnostics.refuse(
                asyncness,
                "an `async` closure borrows what it captured: write `|token| async move { … }`, or `|token| -> Result<(), TaskError> { … }`",
            );
            return None;
        }
        let krate = &args.krate;
        let mut inputs = closure.inputs.iter();
        let Some(first) = inputs.next() else {
            diagnostics.refuse(
                &closure.inputs_begin,
                "the closure takes the token: write `|token| …`, or `|_| …` where the future is to be dropped when the token fires",
            );
            return None;
        };
        let (pattern, ty) = match first {
            Pat::Type(PatType { pat, ty, .. }) => (&**pat, Some(&**ty)),
            pattern => (pattern, None),
        };
        if let Some(Type::Reference(reference)) = ty.map(peel_groups) {
            diagnostics.refuse(
                reference,
                "the closure of `task!` is given its token, not a borrow of it\nhelp: leave the type out, as in `|token| …`",
            );
            return None;
        }
        let has_token = !matches!(pattern, Pat::Wild(_));
        args.check(has_token, diagnostics);
        let token = Ident::new("__supervised_token", Span::mixed_site());
        // A type that is none of a token's is told where it stands.
        let taken = ty.map_or_else(
            || quote!(let #pattern = #token;),
            |ty| {
                let given =
                    Ident::new("__supervised_token", token.span().located_at(first_span(ty)));
                quote!(let #pattern: #ty = #given;)
            },
        );
        let own = Ident::new("__supervised_own", Span::mixed_site());
        let body = &closure.body;
        let parameter = (has_token && args.on_cancel(true) == OnCancel::Cooperate)
            .then_some(TokenParameter { pattern, owner: Owner::Task });
        // Without a return type it is a future, which is awaited.
        let is_future = matches!(closure.output, ReturnType::Default);
        let takes_token = has_token && !is_future;
        let spec = args.spec(&name.value(), name.span(), has_token, takes_token);
        let refused = body::check_parsed(body, is_future, parameter, &args.allow, diagnostics);
        if is_future && refused.calls && matches!(**body, Expr::Call(_) | Expr::MethodCall(_)) {
            // What it gives is no supervised output either, which is not another mistake.
            return None;
        }
        let take_own =
            takes_token.then(|| quote!(let #token = #krate::__private::own_token(#token);));
        // The future takes the token before there is a run.
        let take_now = (has_token && is_future)
            .then(|| quote!(let #token = #krate::__private::own_token_of_closure(#token);));
        let supervised = match &closure.output {
            ReturnType::Default => quote! {
                #taken
                #krate::__private::supervise_foreign(#spec, #own, #body)
            },
            written => {
                let mut output = Output::new(written);
                output.check(diagnostics);
                if output.is_refused() {
                    return None;
                }
                let contract = output.contract(krate);
                let return_edge = output.return_edge(krate);
                let before = quote!(#take_own #taken #return_edge);
                let run = match body.to_token_stream().into_iter().next() {
                    Some(TokenTree::Group(block)) if matches!(**body, Expr::Block(_)) => {
                        async_body(&block, before)
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
        Some(quote! {
            move |#token: #krate::CancellationToken #(, #inputs)*| {
                #take_now
                let #own = ::core::clone::Clone::clone(&#token);
                #supervised
            }
        })
    }
}
