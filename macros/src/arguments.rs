//! The grammar that all the macros share: `key = value, …`, each key at most once, in any order.
//!
//! Raw arguments keep their spans. What a key means is the business of the macro that takes it.

use proc_macro2::TokenStream;
use syn::{
    Expr, Ident, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

use crate::diagnostics::{Diagnostics, nearest, quoted};

/// One `key = value`, as written.
pub(crate) struct Argument {
    pub(crate) key: Ident,
    pub(crate) value: Expr,
}

/// The arguments that nobody has taken yet.
pub(crate) struct Arguments {
    untaken: Vec<Argument>,
    known: &'static [&'static str],
}

impl Arguments {
    /// Reads all that can be read; each mistake goes into `diagnostics`.
    ///
    /// `known` lists the keys that the macro takes, in the order in which messages tell them.
    pub(crate) fn parse(
        tokens: TokenStream,
        known: &'static [&'static str],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut untaken = Vec::new();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match parse_one(input, known) {
                    Ok(argument) => keep(argument, &mut untaken, diagnostics),
                    Err(error) => {
                        diagnostics.push(error);
                        skip_to_comma(input)?;
                    }
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            diagnostics.push(error);
        }
        Self { untaken, known }
    }

    /// Takes the argument of that name out, if it was given.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Argument> {
        debug_assert!(self.known.contains(&key), "an argument that no message lists");
        let found = self.untaken.iter().position(|given| given.key.unraw() == key)?;
        Some(self.untaken.remove(found))
    }

    /// Refuses what nobody took.
    pub(crate) fn refuse_the_rest(self, diagnostics: &mut Diagnostics) {
        for argument in self.untaken {
            let given = argument.key.unraw().to_string();
            let meant = nearest(&given, self.known)
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            diagnostics.refuse(
                &argument.key,
                format!(
                    "unknown argument `{given}`{meant}\nthe arguments are {}",
                    quoted(self.known)
                ),
            );
        }
    }
}

fn keep(argument: Argument, kept: &mut Vec<Argument>, diagnostics: &mut Diagnostics) {
    let key = argument.key.unraw();
    if kept.iter().any(|earlier| earlier.key.unraw() == key) {
        diagnostics.refuse(&argument.key, format!("`{key}` is given twice: keep one of them"));
    } else {
        kept.push(argument);
    }
}

fn parse_one(input: ParseStream<'_>, known: &[&str]) -> syn::Result<Argument> {
    let Ok(key) = Ident::parse_any(input) else {
        return Err(input.error(format!(
            "expected an argument, like `name = \"worker\"`\nthe arguments are {}",
            quoted(known)
        )));
    };
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` needs a value: write `{key} = …`"),
        ));
    }
    let equals: Token![=] = input.parse()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(equals.span, format!("`{key}` needs a value after the `=`")));
    }
    let value = input.parse()?;
    Ok(Argument { key, value })
}

/// Goes on behind a mistake, so that the arguments after it are read too.
fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
