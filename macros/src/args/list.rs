//! The grammar that all the macros share: `key = value, …`, each key at most once, in any order; only
//! `allow(…)` takes a list.
//!
//! Raw arguments keep their spans. The macro that takes a key defines its meaning.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Expr, Ident, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token,
};

use crate::diagnostics::{Diagnostics, nearest, quoted};

const NO_COMMA: &str =
    "expected a comma between two arguments\nhelp: write `limit = 16, timeout = \"10s\"`";

/// One `key = value`, as written.
pub(crate) struct Argument {
    pub(crate) key: Ident,
    /// The value of a list is its parentheses, with their contents.
    pub(crate) value: Expr,
    /// A value to show in messages.
    pub(crate) example: &'static str,
}

/// An argument's value and the key it was given under.
pub(crate) struct Keyed<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

/// A key that a macro takes.
pub(crate) struct KnownKey {
    name: &'static str,
    /// A value to show in messages.
    example: &'static str,
    is_list: bool,
}

impl KnownKey {
    /// `name = example`.
    pub(crate) const fn value(name: &'static str, example: &'static str) -> Self {
        Self { name, example, is_list: false }
    }

    /// `name(…)`; the example has the parentheses.
    pub(crate) const fn list(name: &'static str, example: &'static str) -> Self {
        Self { name, example, is_list: true }
    }
}

/// The arguments that no model has taken yet.
pub(crate) struct Arguments {
    remaining: Vec<Argument>,
    known: &'static [KnownKey],
}

impl Arguments {
    /// Reads as much as possible; each mistake goes into `diagnostics`.
    ///
    /// `known` lists the keys that the macro takes, in the order in which messages list them.
    pub(crate) fn parse(
        tokens: TokenStream,
        known: &'static [KnownKey],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut remaining = Vec::new();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match parse_one(input, known) {
                    Ok(argument) => push_unique(argument, known, &mut remaining, diagnostics),
                    Err(error) => {
                        diagnostics.push(error);
                        skip_to_comma(input)?;
                    }
                }
                if !input.is_empty() {
                    input
                        .parse::<Token![,]>()
                        .map_err(|error| syn::Error::new(error.span(), NO_COMMA))?;
                }
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            diagnostics.push(error);
        }
        Self { remaining, known }
    }

    /// Takes the argument of that name out, if it was given.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Argument> {
        if !self.known.iter().any(|known| known.name == key) {
            return None;
        }
        let found = self.remaining.iter().position(|given| given.key.unraw() == key)?;
        Some(self.remaining.remove(found))
    }

    /// Refuses an argument that only another macro takes, with its own message.
    pub(crate) fn refuse(&mut self, key: &str, message: &str, diagnostics: &mut Diagnostics) {
        self.remaining.retain(|given| {
            let is_it = given.key.unraw() == key;
            if is_it {
                diagnostics.refuse(&given.key, message);
            }
            !is_it
        });
    }

    /// Refuses the arguments that were not taken.
    pub(crate) fn refuse_remaining(self, diagnostics: &mut Diagnostics) {
        for argument in self.remaining {
            let given = argument.key.unraw().to_string();
            let meant = nearest(&given, &names(self.known))
                .map(|name| format!("did you mean `{name}`? "))
                .unwrap_or_default();
            diagnostics.refuse(
                &argument.key,
                format!(
                    "unknown argument `{given}`\nhelp: {meant}the arguments are {}",
                    quoted(&names(self.known))
                ),
            );
        }
    }
}

fn push_unique(
    argument: Argument,
    known: &[KnownKey],
    kept: &mut Vec<Argument>,
    diagnostics: &mut Diagnostics,
) {
    let key = argument.key.unraw();
    if kept.iter().any(|earlier| earlier.key.unraw() == key) {
        let instead = if known.iter().any(|known| known.is_list && key == known.name) {
            "put all names in one list"
        } else {
            "remove one of them"
        };
        diagnostics.refuse(&argument.key, format!("`{key}` is given twice\nhelp: {instead}"));
    } else {
        kept.push(argument);
    }
}

fn parse_one(input: ParseStream<'_>, known: &[KnownKey]) -> syn::Result<Argument> {
    let Ok(key) = Ident::parse_any(input) else {
        let KnownKey { name: first, example, .. } = known[0];
        return Err(input.error(format!(
            "expected an argument\nhelp: write `{first} = {example}`; the arguments are {}",
            quoted(&names(known))
        )));
    };
    let Some(found) = known.iter().find(|known| key.unraw() == known.name) else {
        return parse_unknown(key, input);
    };
    let KnownKey { name, example, is_list } = found;
    if *is_list {
        let value = parse_list(&key, example, input)?;
        return Ok(Argument { key, value, example });
    }
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            key.span(),
            format!("`{name}` needs a value\nhelp: write `{name} = {example}`"),
        ));
    }
    let equals: Token![=] = input.parse()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(
            equals.span,
            format!("`{name}` needs a value after the `=`\nhelp: write `{name} = {example}`"),
        ));
    }
    let value = input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            format!("cannot parse the value of `{name}`\nhelp: write `{name} = {example}`"),
        )
    })?;
    Ok(Argument { key, value, example })
}

/// `(a, b)`, as a tuple.
fn parse_list(key: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<Expr> {
    if !input.peek(token::Paren) {
        let place = if input.peek(Token![=]) { input.span() } else { key.span() };
        return Err(syn::Error::new(
            place,
            format!("`{key}` takes a list in parentheses\nhelp: write `{key}{example}`"),
        ));
    }
    let list: TokenTree = input.parse()?;
    if !(input.is_empty() || input.peek(Token![,])) {
        return Err(input.error(format!(
            "unexpected token after the list of `{key}`\nhelp: write `{key}{example}`"
        )));
    }
    syn::parse2(list.into()).map_err(|error| {
        syn::Error::new(
            error.span(),
            format!("cannot parse the list of `{key}`\nhelp: write `{key}{example}`"),
        )
    })
}

/// An argument that will be refused for its name: its value, if any, is not used.
fn parse_unknown(key: Ident, input: ParseStream<'_>) -> syn::Result<Argument> {
    skip_to_comma(input)?;
    Ok(Argument { key, value: Expr::Verbatim(TokenStream::new()), example: "" })
}

fn names(known: &[KnownKey]) -> Vec<&'static str> {
    known.iter().map(|known| known.name).collect()
}

/// Skips a mistake: the arguments after it are read too.
fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
