//! The rewritten function.
//!
//! ```text
//! Input   #[supervised(limit = 16)]
//!         async fn fetch(mut client: Client, (host, path): Where) -> Result<Page, Error> { body }
//!
//! Output  fn fetch(token: impl AsToken, client: Client, __supervised_1: Where)
//!             -> Supervised<impl Future<Output = Result<Page, Error>>, impl AsToken>
//!         {
//!             supervise(
//!                 { static SPEC: TaskSpec = TaskSpec::new("fetch", Policy::DEFAULT.limit(16)); &SPEC },
//!                 token,
//!                 output::<Result<Page, Error>>(…),
//!                 async move {
//!                     let token = own_token(token); // where the body takes it
//!                     let mut client = client;
//!                     let __supervised_1 = __supervised_1; let (host, path) = __supervised_1;
//!                     ({ body })
//!                 },
//!             )
//!         }
//! ```
//!
//! 1. Parameters are bound again inside, in their order: they drop as those of an `async fn` do.
//! 2. What the user wrote keeps its spans; what is injected has mixed-site ones, which his code cannot meet.
//! 3. `impl` keeps the span of this crate, whose edition captures every lifetime, as an `async fn` does;
//!    so do the braces of the `async` block, whose edition drops what the body's last expression borrows
//!    before the parameters.
//! 4. With `restart`, the call keeps the parameters instead of moving them in, and a closure makes each run of
//!    clones: `let client = __supervised_kept_1.take(); let mut client = client;`. It captures the token and
//!    the receiver as they are, since nothing but a receiver can be called `self`.
//! 5. The body stands in parentheses, which no lint reads: as a block's bare last expression, a body of one
//!    line would be told to drop its braces.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, FnArg, Meta, Pat, PatType, Type, TypeReference};

use super::{
    args::Args,
    body::{Refused, silenced},
    item::Function,
    signature::{Header, TokenForm, bare, is_always_there},
};
use crate::diagnostics::{first_span, item_of, located, located_around};

/// The only `quote!` of a whole function.
pub(crate) fn function(
    args: &Args,
    function: &Function,
    header: Header<'_>,
    refused: Refused,
) -> TokenStream {
    let Function { attributes, visibility, defaultness, signature, body, .. } = function;
    let krate = &args.krate;
    let has_token = header.has_token();
    let spec = args.spec(&unraw(&signature.ident), signature.ident.span(), has_token, has_token);
    let contract = header.output.contract(krate);
    let return_edge = header.output.return_edge();
    let declared = &header.output.declared;
    let restarts = args.restart.applies_to(signature, &header);
    let story = args.story(attributes, has_token, declared);

    let mut parameters = Vec::new();
    let mut bindings = Vec::new();
    let mut kept = Vec::new();
    let mut token = injected("token");
    if !has_token {
        let receiver = signature.receiver().map(|receiver| quote!(#receiver,));
        let as_token = as_token(krate, signature.ident.span());
        parameters.push(quote!(#receiver #token: #as_token));
    }
    for (at, input) in signature.inputs.iter().enumerate() {
        match (input, header.token) {
            (FnArg::Receiver(_), None) => {}
            (FnArg::Receiver(receiver), Some(_)) => parameters.push(quote!(#receiver)),
            (FnArg::Typed(parameter), Some((found, form))) if found == at => {
                let bound = bind_token(krate, &silenced(parameter, refused.token), form);
                token = bound.ident;
                parameters.push(bound.parameter);
                bindings.push(bound.binding);
            }
            (FnArg::Typed(parameter), _) => {
                let bound =
                    if restarts { bind_kept(krate, parameter, at) } else { bind(parameter, at) };
                kept.extend(bound.kept);
                parameters.push(bound.parameter);
                bindings.push(bound.binding);
            }
        }
    }
    let take_own = has_token.then(|| quote!(let #token = #krate::__private::own_token(#token);));
    // A receiver that the body never names would drop before the future does.
    let keep_receiver = signature.receiver().map(|receiver| {
        let this = receiver.self_token;
        quote!(let _ = &#this;)
    });
    let given = matches!(header.token, Some((_, TokenForm::Given)));
    let token_type =
        if given { quote!(#krate::CancellationToken) } else { quote!(impl #krate::AsToken) };
    let own_token = match header.token_type() {
        Some(ty) => located(quote!(::core::clone::Clone::clone(&#token)), first_span(ty)),
        None => quote!(#token),
    };

    let safety = &signature.safety;
    let fn_token = &signature.fn_token;
    let ident = &signature.ident;
    let (generics, where_clause) = (&signature.generics, &signature.generics.where_clause);
    // With a token that is given, the function may implement a trait's method, which names the plain future.
    let refining = given.then(|| quote!(#[allow(refining_impl_trait)]));
    // A receiver cannot be bound again inside: changes of a captured one are called unused where they are
    // only for its drop to see.
    let assigned = signature
        .receiver()
        .filter(|receiver| receiver.mutability.is_some())
        .map(|_| quote!(#[allow(unused_assignments)]));
    // The injected token must not be the one parameter too many.
    let crowded = (!has_token && signature.inputs.len() >= MOST_PARAMETERS)
        .then(|| quote!(#[allow(clippy::too_many_arguments)]))
        .filter(|_| {
            signature.inputs.iter().filter(|input| is_always_there(input)).count()
                <= MOST_PARAMETERS
        });
    let (future, supervise) = if restarts {
        let runs = quote!(impl #krate::__private::Runs<Output = #declared>);
        // The type of a given token is said here, since the runs hide it.
        let token = given.then(|| quote!(::<_, _, #token_type>));
        (quote!(Restarting<#runs>), quote!(supervise_restarting #token))
    } else {
        let body = quote!(impl ::core::future::Future<Output = #declared>);
        (quote!(Supervised<#body, #token_type>), quote!(supervise))
    };
    let run = quote! {
        async move {
            #keep_receiver
            #take_own
            #(#bindings)*
            #return_edge
            (#body)
        }
    };
    let body = match signature.receiver() {
        // That the receiver cannot be cloned is told at the closure: whatever else it captures can be.
        Some(receiver) if restarts => {
            located_around(quote!(move || #run), receiver.self_token.span)
        }
        _ if restarts => quote!(move || #run),
        _ => run,
    };
    quote! {
        #(#attributes)*
        #story
        #refining
        #crowded
        #assigned
        #visibility #defaultness #safety #fn_token #ident #generics (#(#parameters),*)
            -> #krate::#future
        #where_clause
        {
            #(#kept)*
            #krate::__private::#supervise(
                #spec,
                #own_token,
                #contract,
                #body,
            )
        }
    }
}

/// As many as clippy takes without a word.
const MOST_PARAMETERS: usize = 7;

/// A parameter, outside and inside.
struct Bound {
    ident: Ident,
    parameter: TokenStream,
    binding: TokenStream,
    /// What is said before the call.
    kept: Option<TokenStream>,
}

/// The attributes of a parameter, for each of the places that it is bound at.
///
/// What is expected of one place does not come true at the others: there it is allowed.
fn attributes(parameter: &PatType) -> Vec<Attribute> {
    let mut attributes = parameter.attrs.clone();
    for attribute in &mut attributes {
        if let Meta::List(list) = &mut attribute.meta {
            if list.path.is_ident("expect") {
                list.path = Ident::new("allow", first_span(&list.path)).into();
            }
        }
    }
    attributes
}

fn bind(parameter: &PatType, at: usize) -> Bound {
    let PatType { pat, ty, .. } = parameter;
    let attrs = attributes(parameter);
    let plain = match &**pat {
        Pat::Ident(pattern) => {
            Some(pattern).filter(|pattern| pattern.by_ref.is_none() && pattern.subpat.is_none())
        }
        _ => None,
    };
    if let Some(syn::PatIdent { ident, mutability, .. }) = plain {
        return Bound {
            ident: ident.clone(),
            parameter: quote!(#(#attrs)* #ident: #ty),
            binding: quote!(#(#attrs)* let #mutability #ident = #ident;),
            kept: None,
        };
    }
    let ident = injected(&format!("__supervised_{at}"));
    Bound {
        parameter: quote!(#(#attrs)* #ident: #ty),
        binding: quote!(#(#attrs)* let #ident = #ident; #(#attrs)* let #pat = #ident;),
        kept: None,
        ident,
    }
}

/// A parameter that is kept outside, and cloned for each run; one that cannot be is told at its type.
fn bind_kept(krate: &syn::Path, parameter: &PatType, at: usize) -> Bound {
    let PatType { ty, .. } = parameter;
    let attrs = attributes(parameter);
    let bound = bind(parameter, at);
    let (ident, binding) = (&bound.ident, &bound.binding);
    let place = first_span(ty);
    let kept = injected(&format!("__supervised_kept_{at}"));
    let keep = item_of(krate, quote!(::__private::kept), place);
    let given = located(ident.to_token_stream(), place);
    Bound {
        binding: quote!(#(#attrs)* let #ident = #kept.take(); #binding),
        kept: Some(quote!(#(#attrs)* let #kept = #keep(#given);)),
        ..bound
    }
}

fn bind_token(krate: &syn::Path, parameter: &PatType, form: TokenForm) -> Bound {
    let PatType { pat, ty, .. } = parameter;
    let attrs = attributes(parameter);
    let mut bound = bind(parameter, 0);
    if form == TokenForm::Lent {
        let ident = &bound.ident;
        let kept = injected("__supervised_token");
        let as_token = as_token(krate, first_span(ty));
        bound.parameter = quote!(#(#attrs)* #ident: #as_token);
        // The type is written again, so that it is checked, and that its import is used.
        let ty = lent(ty);
        let look = item_of(krate, quote!(::AsToken::as_token(&#kept)), first_span(&ty));
        bound.binding = quote! {
            #(#attrs)* let #kept = #ident;
            #(#attrs)* let #pat: #ty = #look;
        };
    }
    bound
}

/// The type of a token's parameter that hides how it came in; a bound that fails is told at `place`.
fn as_token(krate: &syn::Path, place: Span) -> TokenStream {
    let path = item_of(krate, quote!(::AsToken), place);
    let keyword = located(quote!(impl), place);
    quote!(#keyword #path)
}

/// The reference that the body gets: it lives as long as the body, and changes nothing.
pub(crate) fn lent(ty: &Type) -> Type {
    let Type::Reference(reference) = bare(ty) else { return bare(ty).clone() };
    let mut elem = &reference.elem;
    while let Type::Reference(inner) = bare(elem) {
        elem = &inner.elem;
    }
    // Put together, not parsed: of what a reference can be to, some stands in parentheses only.
    Type::Reference(TypeReference {
        attrs: Vec::new(),
        and_token: reference.and_token,
        lifetime: None,
        mutability: None,
        elem: elem.clone(),
    })
}

/// A name that the user's code cannot meet, as far as it names no item: a constant is seen through any
/// hygiene, where a binding stands. `token` alone is a plain word, since it shows in the documentation.
fn injected(name: &str) -> Ident {
    format_ident!("{name}", span = Span::mixed_site())
}

fn unraw(ident: &Ident) -> String {
    syn::ext::IdentExt::unraw(ident).to_string()
}
