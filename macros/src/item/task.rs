//! The call of `task!`: a name, arguments and a closure.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::{
    ExprClosure, LitStr, Pat, PatType, Token, Type,
    parse::{Parse, ParseStream},
    token,
};

use crate::{args::allow, diagnostics::Diagnostics, syntax::peel_groups};

/// The call, its arguments not yet read.
pub(crate) struct Call {
    pub(crate) name: LitStr,
    pub(crate) arguments: TokenStream,
    pub(crate) closure: ExprClosure,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let Ok(name) = input.parse::<LitStr>() else {
            return Err(syn::Error::new(
                input.span(),
                "`task!` takes the task's name as its first argument\nhelp: write `task!(\"http\", |token| …)`",
            ));
        };
        if name.value().trim().is_empty() {
            return Err(syn::Error::new(
                name.span(),
                "the name of a task must not be empty: it labels metrics, events and errors\nhelp: write `task!(\"http\", |token| …)`",
            ));
        }
        if input.is_empty() {
            return Err(no_closure(name.span()));
        }
        if !input.peek(Token![,]) {
            return Err(input.error(
                "`task!` needs a comma after the name\nhelp: write `task!(\"http\", |token| …)`",
            ));
        }
        input.parse::<Token![,]>()?;
        let mut arguments = TokenStream::new();
        // The start of the last of them, if it is not an argument.
        let mut other = None;
        let mut starts = true;
        while !input.is_empty() && !starts_closure(input) {
            if starts_future(input) {
                return Err(no_closure_but_a_future(input.span()));
            }
            if starts {
                other = (!starts_argument(input)).then(|| input.span());
            }
            starts = input.peek(Token![,]);
            arguments.extend([input.parse::<TokenTree>()?]);
        }
        if input.is_empty() {
            return Err(other.map_or_else(|| no_closure(name.span()), no_closure_but_a_future));
        }
        let closure = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(
                input.error("the arguments of `task!` go between the name and the closure\nhelp: write `task!(\"http\", limit = 4, |token| …)`")
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
            && input.fork().parse::<Ident>().is_ok_and(|key| key == allow::NAME)
}

/// Whether there is an `async` block in place of the closure.
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
        "`task!` takes a closure that returns the future: the future needs the token of its scope\nhelp: write `|token| async move { … }`, or `|token| work(token)`",
    )
}

/// The token parameter of a closure.
pub(crate) struct ClosureToken<'a> {
    pub(crate) pattern: &'a Pat,
    pub(crate) ty: Option<&'a Type>,
}

impl ClosureToken<'_> {
    /// Whether the closure names the token.
    pub(crate) fn is_named(&self) -> bool {
        !matches!(self.pattern, Pat::Wild(_))
    }
}

/// Finds the token parameter, and refuses a closure that is not expanded.
pub(crate) fn read_token<'a>(
    closure: &'a ExprClosure,
    diagnostics: &mut Diagnostics,
) -> Option<ClosureToken<'a>> {
    if let Some(asyncness) = &closure.asyncness {
        diagnostics.refuse(
            asyncness,
            "`task!` cannot take an `async` closure, whose future borrows from the closure\nhelp: write `|token| async move { … }`, or `|token| -> Result<(), TaskError> { … }`",
        );
        return None;
    }
    let Some(first) = closure.inputs.first() else {
        diagnostics.refuse(
            &closure.inputs_begin,
            "the closure of `task!` must take the token\nhelp: write `|token| …`, or `|_| …` to drop the future when the token fires",
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
            "the closure of `task!` takes its token by value, not by reference\nhelp: omit the type: `|token| …`",
        );
        return None;
    }
    Some(ClosureToken { pattern, ty })
}
