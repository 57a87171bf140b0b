//! The rewritten function.
//!
//! ```text
//! Input   #[supervised(limit = 16)]
//!         async fn fetch(mut client: Client, (host, path): Where) -> Result<Page, Error> { body }
//!
//! Output  fn fetch(token: impl AsToken, client: Client, __supervised_1: Where)
//!             -> Supervised<impl Future<Output = Result<Page, Error>>, impl AsToken>
//!         {
//!             return supervise(
//!                 { static SPEC: TaskSpec = TaskSpec::new("fetch", Policy::DEFAULT.limit(16)); &SPEC },
//!                 token,
//!                 output::<Result<Page, Error>>(…),
//!                 async move {
//!                     let token = own_token(token); // if the body takes it
//!                     let (mut client,) = (client,);
//!                     let mut __supervised_1 = __supervised_1; let (host, path) = __supervised_1;
//!                     match () { () => ({ body }) }
//!                 },
//!             );
//!         }
//! ```
//!
//! 1. Parameters are bound again inside, in their order: they drop as those of an `async fn` do. The body is
//!    the arm of a `match`, which drops what its last expression borrows before them, in every edition.
//! 2. The user's tokens keep their spans. Inserted names have mixed-site hygiene: they cannot collide with the user's.
//!    So do the signature's names of the user's parameters; otherwise lints would report that the bindings in the body
//!    shadow them.
//! 3. Lints ask an item, a signature or a body for its span, and skip one that starts or ends in a macro. These start
//!    and end with the user's spans: the return type, the braces of the function, the `async` block, the `match` around
//!    the body. The tokens in between have spans of this crate, and lints ignore them. `tests/compile/clippy/pairs.rs` compiles
//!    functions with and without the attribute, and compares the warnings.
//! 4. `impl` of the return type keeps the span of this crate, whose edition captures every lifetime, as an
//!    `async fn` does.
//! 5. With `restart` or `every`, the call keeps the parameters instead of moving them in, and a closure makes each run of
//!    clones: `let client = __supervised_kept_1.take(); let mut client = client;`. It captures the token and
//!    the receiver as they are, since nothing but a receiver can be called `self`.
//! 6. The body is in parentheses, which no lint reads: as an arm of a `match`, a body of one line would
//!    be linted for its braces.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, FnArg, Meta, Pat, PatType, Receiver, ReceiverKind, ReturnType, Signature, Type,
};

use super::{allow_unused, async_body, borrowed_type, braced_at, docs, lines};
use crate::{
    args::task::TaskArgs,
    check::Refused,
    header::{Header, TokenForm},
    item::function::Function,
    output::Output,
    syntax::{
        first_span, is_default_path, is_unconditional, last_span, located, located_outer,
        peel_groups, runtime_item,
    },
};

/// The supervised function.
pub(crate) fn function(
    args: &TaskArgs,
    function: &Function,
    header: &Header<'_>,
    recurs: bool,
    refused: Refused,
) -> TokenStream {
    let Function { attributes, inner_attributes, visibility, defaultness, signature, body, .. } =
        function;
    let krate = &args.krate;
    let has_token = header.has_token();
    let spec = args.spec(&unraw(&signature.ident), signature.ident.span(), has_token, has_token);
    let has_options = recurs && (args.restart.filter().is_some() || args.every().is_some());
    let contract =
        if has_options { recurring(args, &header.output) } else { header.output.contract(krate) };
    let return_edge = header.output.return_edge(krate);
    let declared = &header.output.declared;
    let story = docs::paragraph(attributes, &args.exit_story(has_token, header.output.is_unit()));

    let mut parameters = Vec::new();
    let mut bindings = Vec::new();
    let mut kept = Vec::new();
    let mut token = injected_ident("__supervised_token");
    if !has_token {
        let receiver = signature.receiver().map(|receiver| quote!(#receiver,));
        let as_token = as_token_type(krate, signature.ident.span());
        parameters.extend(receiver);
        // A pattern resolves to a user's constant regardless of its hygiene. So the plain name is only for the
        // documentation.
        let shown = injected_ident("token");
        if names(signature).any(|name| shown == name) {
            parameters.push(quote!(#token: #as_token,));
        } else {
            parameters.push(quote! {
                #[cfg(not(doc))] #token: #as_token,
                #[cfg(doc)] #shown: #as_token,
            });
            kept.push(quote!(#[cfg(doc)] let #token = #shown;));
        }
    }
    for (at, input) in signature.inputs.iter().enumerate() {
        match (input, header.token) {
            (FnArg::Receiver(_), None) => {}
            (FnArg::Receiver(receiver), Some(_)) => parameters.push(quote!(#receiver,)),
            (FnArg::Typed(parameter), Some((found, form))) if found == at => {
                let parameter = allow_unused(parameter, refused.token);
                let bound = bind_token(krate, signature, &parameter, form);
                token = bound.ident;
                let parameter = bound.parameter;
                parameters.push(quote!(#parameter,));
                bindings.push(bound.binding);
            }
            (FnArg::Typed(parameter), _) => {
                let bound = if recurs {
                    bind_cloned(krate, signature, parameter, at)
                } else {
                    bind(signature, parameter, at)
                };
                if !recurs && args.recurs_by().is_some() {
                    kept.extend(check_parameter_clone(krate, parameter));
                }
                kept.extend(bound.kept);
                let parameter = bound.parameter;
                parameters.push(quote!(#parameter,));
                bindings.push(bound.binding);
            }
        }
    }
    if recurs {
        kept.extend(
            signature.receiver().and_then(|receiver| check_receiver_clone(krate, receiver)),
        );
    }
    // A receiver that the body never names would drop before the future does.
    let keep_receiver = signature.receiver().map(|receiver| {
        let this = receiver.self_token;
        quote!(let _ = &#this;)
    });
    let given = matches!(header.token, Some((_, TokenForm::Owned)));
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
    // With a token by value, the function may implement a trait's method, which names the plain future.
    let refining = given.then(|| quote!(#[allow(refining_impl_trait)]));
    // A receiver cannot be bound again inside: the compiler calls changes of a captured one unused if only its drop
    // reads them. A body without such a change keeps the lint.
    let assigned = signature
        .receiver()
        .filter(|receiver| receiver.mutability.is_some() && assigns_self(body.stream()))
        .map(|_| quote!(#[allow(unused_assignments)]));
    // The injected token must not exceed clippy's maximum of parameters.
    let crowded = (!has_token && signature.inputs.len() >= MAX_PARAMETERS)
        .then(|| quote!(#[allow(clippy::too_many_arguments)]))
        .filter(|_| {
            signature.inputs.iter().filter(|input| is_unconditional(input)).count()
                <= MAX_PARAMETERS
        });
    // Nor must the lint report it as a parameter of an `impl` type. If the author has such a parameter, the lint stays.
    let unnamed = ((!has_token || !given) && !has_impl_parameter(signature))
        .then(|| quote!(#[allow(clippy::impl_trait_in_params)]));
    let (future, supervise) = if recurs {
        let runs = quote!(impl #krate::__private::Runs<Output = #declared>);
        // The type of an owned token is written here, since the runs hide it.
        let (supervise, token) = if has_options {
            (quote!(supervise_recurring), given.then(|| quote!(::<_, _, #token_type, _>)))
        } else {
            (quote!(supervise_restarting), given.then(|| quote!(::<_, _, #token_type>)))
        };
        (return_type(krate, quote!(Restarting<#runs), signature), quote!(#supervise #token))
    } else {
        let body = quote!(impl ::core::future::Future<Output = #declared>);
        (return_type(krate, quote!(Supervised<#body, #token_type), signature), quote!(supervise))
    };
    // An attribute above may have rewritten a function that is not async: it has no `.await` of the author.
    let marked = lines::block(krate, args.lines && function.is_async, signature.receiver(), body);
    let prelude = &marked.prelude;
    let run = async_body(&marked.body, quote!(#keep_receiver #(#bindings)* #return_edge #prelude));
    let run = match signature.receiver() {
        // A receiver that cannot be cloned is reported at the closure: everything else that it captures can be cloned.
        Some(receiver) if recurs => {
            let closure = located_outer(quote!(move ||), receiver.self_token.span);
            quote!(#closure #run)
        }
        _ if recurs => quote!(move || #run),
        _ => run,
    };
    // With an explicit `return`, since a clippy lint demands one. It has the author's span, for errors that are
    // reported at the returned value.
    let call = at_body(
        body,
        quote!((
            #spec,
            #own_token,
            #contract,
            #run,
        )),
    );
    let path = at_body(body, quote!(::__private::#supervise));
    let krate = if is_default_path(krate) { at_body(body, quote!(#krate)) } else { quote!(#krate) };
    let keyword = at_body(body, quote!(return));
    let block = braced_at(
        body,
        quote! {
            #(#inner_attributes)*
            #(#kept)*
            #keyword #krate #path #call;
        },
    );
    quote! {
        #(#attributes)*
        #story
        #refining
        #crowded
        #unnamed
        #assigned
        #visibility #defaultness #safety #fn_token #ident #generics (#(#parameters)*)
            -> #future
        #where_clause
        #block
    }
}

/// The return type with `every` and `restart_if`, each checked at the place of its error.
fn recurring(args: &TaskArgs, output: &Output) -> TokenStream {
    let krate = &args.krate;
    let contract = output.contract(krate);
    let mut recurring = quote!(#krate::__private::recurring(#contract));
    if output.is_refused() {
        return recurring;
    }
    if let Some(interval) = args.every() {
        let every = runtime_item(krate, quote!(::__private::every), output.span());
        // A constant: the compiler evaluates it, also if nothing calls the function.
        let interval = quote! {{
            const TOKIO_SUPERVISED_INTERVAL: ::core::time::Duration = #interval;
            TOKIO_SUPERVISED_INTERVAL
        }};
        recurring = quote!(#every(#recurring, #interval));
    }
    if let Some(path) = args.restart.filter().filter(|_| !output.is_unit()) {
        let restart_if = runtime_item(krate, quote!(::__private::restart_if), output.span());
        recurring = quote!(#restart_if(#recurring, #path));
    }
    recurring
}

/// A refused `main`: the program keeps an entry point, and the items that the function uses stay used.
pub(crate) fn refused_main(function: &Function) -> TokenStream {
    let Function { attributes, inner_attributes, signature, body, .. } = function;
    quote! {
        fn main() {
            #(#attributes)*
            #[allow(dead_code)]
            #signature {
                #(#inner_attributes)*
                #body
            }
        }
    }
}

/// The number of parameters that clippy accepts.
const MAX_PARAMETERS: usize = 7;

/// A parameter, outside and inside.
struct Binding {
    ident: Ident,
    parameter: TokenStream,
    binding: TokenStream,
    /// The statement before the call.
    kept: Option<TokenStream>,
}

/// The attributes of a parameter in the signature: an `expect` becomes an `allow`.
///
/// Lints about a type check the signature, those about a name check the binding in the body. One expectation cannot be
/// fulfilled at both.
fn signature_attributes(parameter: &PatType) -> Vec<Attribute> {
    parameter.attrs.iter().map(allowed).collect()
}

/// The attributes of a parameter at its binding in the body: an `expect` about the name stays.
fn binding_attributes(parameter: &PatType) -> Vec<Attribute> {
    let of_a_name = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) => list.tokens.clone().into_iter().all(|token| match token {
            TokenTree::Ident(lint) => NAME_LINTS.iter().any(|name| lint == name),
            TokenTree::Punct(mark) => mark.as_char() == ',',
            _ => false,
        }),
        _ => false,
    };
    let stays = |attribute: &Attribute| match of_a_name(attribute) {
        true => attribute.clone(),
        false => allowed(attribute),
    };
    parameter.attrs.iter().map(stays).collect()
}

/// The lints about a name alone.
const NAME_LINTS: [&str; 3] = ["unused_assignments", "unused_mut", "unused_variables"];

fn allowed(attribute: &Attribute) -> Attribute {
    let mut attribute = attribute.clone();
    if let Meta::List(list) = &mut attribute.meta {
        if list.path.is_ident("expect") {
            list.path = Ident::new("allow", first_span(&list.path)).into();
        }
    }
    attribute
}

/// The name that the signature has for a parameter: it reads like the author's, but no lint takes it for his.
///
/// A macro may give one name to two parameters, which its hygiene distinguishes, and ours would not.
fn signature_name(signature: &Signature, ident: &Ident) -> Ident {
    let mut hidden = ident.clone();
    let same = names(signature).filter(|name| ident == name).count();
    if same == 1 && !ident.to_string().starts_with("__supervised") {
        hidden.set_span(Span::mixed_site().located_at(ident.span()));
    }
    hidden
}

/// The names of the parameters that are not patterns.
fn names(signature: &Signature) -> impl Iterator<Item = String> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(parameter) => match &*parameter.pat {
            Pat::Ident(pattern) => Some(pattern.ident.to_string()),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    })
}

fn bind(signature: &Signature, parameter: &PatType, at: usize) -> Binding {
    bind_to(signature, parameter, at, |given| quote!(#given))
}

/// The same, with the result of `value` for the argument.
fn bind_to(
    signature: &Signature,
    parameter: &PatType,
    at: usize,
    value: impl Fn(&Ident) -> TokenStream,
) -> Binding {
    let PatType { pat, ty, .. } = parameter;
    let (outer, attrs) = (signature_attributes(parameter), binding_attributes(parameter));
    let plain = match &**pat {
        Pat::Ident(pattern) => {
            Some(pattern).filter(|pattern| pattern.by_ref.is_none() && pattern.subpat.is_none())
        }
        _ => None,
    };
    if let Some(syn::PatIdent { ident, mutability, .. }) = plain {
        let given = signature_name(signature, ident);
        // As part of a pattern, an unread value is reported at the name, and a `_name` is not called one
        // without effect. Both sides are the author's: what a function from a macro assigns in its body would
        // count as a part of the value, if that came from another macro.
        let is_plain = mutability.is_none() && !ident.to_string().starts_with('_');
        let value = value(&given);
        let binding = if is_plain {
            quote!(#(#attrs)* let #ident = #value;)
        } else {
            let one = |tokens: TokenStream| {
                let mut one = Group::new(Delimiter::Parenthesis, quote!(#tokens,));
                one.set_span(ident.span());
                one
            };
            let (pattern, value) = (one(quote!(#mutability #ident)), one(value));
            quote!(#(#attrs)* let #pattern = #value;)
        };
        return Binding {
            parameter: quote!(#(#outer)* #given: #ty),
            binding,
            kept: None,
            ident: given,
        };
    }
    let ident = injected_ident(&format!("__supervised_{at}"));
    let value = value(&ident);
    Binding {
        parameter: quote!(#(#outer)* #ident: #ty),
        // Mutable, since a `ref mut` pattern borrows from it.
        binding: quote!(#(#outer)* let mut #ident = #value; #(#attrs)* let #pat = #ident;),
        kept: None,
        ident,
    }
}

/// A parameter that is kept outside, and cloned for each run; one that cannot be is reported at its type.
fn bind_cloned(
    krate: &syn::Path,
    signature: &Signature,
    parameter: &PatType,
    at: usize,
) -> Binding {
    let PatType { ty, .. } = parameter;
    let outer = signature_attributes(parameter);
    let bound = bind(signature, parameter, at);
    let (ident, binding) = (&bound.ident, &bound.binding);
    let place = first_span(ty);
    let kept = injected_ident(&format!("__supervised_kept_{at}"));
    let keep = runtime_item(krate, quote!(::__private::restart_arg), place);
    let given = located(ident.to_token_stream(), place);
    Binding {
        binding: quote!(#(#outer)* let #ident = #kept.take(); #binding),
        kept: Some(quote!(#(#outer)* let #kept = #keep(#given);)),
        ..bound
    }
}

/// The check of [`bind_cloned`] for a receiver, at its place. The check of the closure comes later, and a failing
/// parameter hides it.
fn check_receiver_clone(krate: &syn::Path, receiver: &Receiver) -> Option<TokenStream> {
    let place = receiver.self_token.span;
    let ty = match &receiver.kind {
        ReceiverKind::Value => quote_spanned!(place=> Self),
        ReceiverKind::Typed(_, ty) if !matches!(peel_groups(ty), Type::Reference(_)) => quote!(#ty),
        _ => return None,
    };
    let keep = runtime_item(krate, quote!(::__private::restart_arg), place);
    Some(quote!(let _ = #keep::<#ty>;))
}

/// The check of [`bind_cloned`] for a refused function: all of its parameters are checked in one compile.
fn check_parameter_clone(krate: &syn::Path, parameter: &PatType) -> Option<TokenStream> {
    let ty = &parameter.ty;
    // A borrow is refused separately, and an `impl Trait` has no name.
    if matches!(peel_groups(ty), Type::Reference(_)) || has_impl(ty.to_token_stream()) {
        return None;
    }
    let outer = signature_attributes(parameter);
    let keep = runtime_item(krate, quote!(::__private::restart_arg), first_span(ty));
    Some(quote!(#(#outer)* let _ = #keep::<#ty>;))
}

fn bind_token(
    krate: &syn::Path,
    signature: &Signature,
    parameter: &PatType,
    form: TokenForm,
) -> Binding {
    let PatType { pat, ty, .. } = parameter;
    let (outer, attrs) = (signature_attributes(parameter), binding_attributes(parameter));
    // A body takes the token of its run, which may be a child.
    let own = |given: &Ident| {
        let place = first_span(ty);
        let own_token = match form {
            TokenForm::Owned => quote!(::__private::own_given_token),
            TokenForm::Borrowed => quote!(::__private::own_token),
        };
        let own_token = runtime_item(krate, own_token, place);
        let given = located(quote!(#given), place);
        quote!(#own_token(#given))
    };
    let mut bound = bind_to(signature, parameter, 0, own);
    if form == TokenForm::Borrowed {
        let ident = &bound.ident;
        let value = own(ident);
        let kept = injected_ident("__supervised_token");
        let as_token = as_token_type(krate, first_span(ty));
        bound.parameter = quote!(#(#outer)* #ident: #as_token);
        // The type is repeated: it is checked, and its import is used.
        let ty = borrowed_type(ty);
        let look = runtime_item(krate, quote!(::AsToken::as_token(&#kept)), first_span(&ty));
        bound.binding = quote! {
            #(#outer)* let #kept = #value;
            #(#attrs)* let #pat: #ty = #look;
        };
    }
    bound
}

/// The outermost tokens, with the span of the author's body.
fn at_body(body: &Group, tokens: TokenStream) -> TokenStream {
    let locate = |mut token: TokenTree| {
        token.set_span(body.span());
        token
    };
    tokens.into_iter().map(locate).collect()
}

/// The return type without its last `>`, with the span of the author's return type from its start to its end.
///
/// Lints skip a signature that starts or ends in a macro.
fn return_type(krate: &syn::Path, future: TokenStream, signature: &Signature) -> TokenStream {
    let (first, last) = match &signature.output {
        ReturnType::Type(_, ty) => (first_span(ty), last_span(ty)),
        ReturnType::Default => {
            let close = signature.paren_token.span.close();
            (close, close)
        }
    };
    let end = quote_spanned!(last=> >);
    if !is_default_path(krate) {
        return quote!(#krate::#future #end);
    }
    let segments = &krate.segments;
    let begin = quote_spanned!(first=> ::);
    quote!(#begin #segments::#future #end)
}

/// Whether one of the author's parameters is an `impl Trait`.
fn has_impl_parameter(signature: &Signature) -> bool {
    signature.inputs.iter().any(|input| match input {
        FnArg::Typed(parameter) => has_impl(parameter.ty.to_token_stream()),
        FnArg::Receiver(_) => false,
    })
}

fn has_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => has_impl(group.stream()),
        _ => false,
    })
}

/// Whether `self`, or a field of it, is visibly assigned to.
fn assigns_self(body: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => assigns_self(group.stream()),
        TokenTree::Ident(ident) if ident == "self" => is_assigned(&tokens[at + 1..]),
        _ => false,
    })
}

/// Whether an `=`, or an operator that ends in one, follows what can be assigned to.
fn is_assigned(mut rest: &[TokenTree]) -> bool {
    let is = |token: &TokenTree, marks: &str| matches!(token, TokenTree::Punct(mark) if marks.contains(mark.as_char()));
    while let [first, behind @ ..] = rest {
        let is_place = is(first, ".")
            || matches!(first, TokenTree::Ident(_) | TokenTree::Literal(_))
            || matches!(first, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket);
        if !is_place {
            break;
        }
        rest = behind;
    }
    match rest {
        [equals, next, ..] if is(equals, "=") => !is(next, "=>"),
        [operator, equals, ..] if is(operator, "+-*/%^&|") => is(equals, "="),
        [first, second, equals, ..] if is(first, "<>") && is(second, "<>") => is(equals, "="),
        _ => false,
    }
}

/// The type of a token's parameter that hides how it came in; a bound that fails is reported at `place`.
///
/// All of it counts as the author's: lints about generics pass over a function that has another's.
fn as_token_type(krate: &syn::Path, place: Span) -> TokenStream {
    let path = runtime_item(krate, quote_spanned!(place=> ::AsToken), place);
    quote_spanned!(place=> impl #path)
}

/// A name that cannot collide with the user's code. A pattern resolves to a constant regardless of its hygiene: the
/// name is one that no user gives to a constant.
fn injected_ident(name: &str) -> Ident {
    format_ident!("{name}", span = Span::mixed_site())
}

fn unraw(ident: &Ident) -> String {
    syn::ext::IdentExt::unraw(ident).to_string()
}
