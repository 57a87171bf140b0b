//! `restart`, `backoff` and `max_restarts`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Lit, Path};

use super::{
    list::{Argument, Arguments, Keyed},
    values::{self, checked, read_duration},
};
use crate::{diagnostics::Diagnostics, syntax::literal};

/// What `restart` asks for, and what goes with it.
pub(crate) struct Restart {
    after: Option<&'static str>,
    was_given: bool,
    backoff: Option<Keyed<Option<TokenStream>>>,
    max_restarts: Option<Keyed<Option<TokenStream>>>,
}

impl Restart {
    pub(super) fn take(given: &mut Arguments, krate: &Path, diagnostics: &mut Diagnostics) -> Self {
        let restart = given.take("restart");
        Self {
            was_given: restart.is_some(),
            after: restart.and_then(|argument| {
                values::choice(&argument, &["on-failure", "always"], diagnostics)
            }),
            backoff: given.take("backoff").map(|argument| Keyed {
                value: backoff(&argument, krate, diagnostics),
                key: argument.key,
            }),
            max_restarts: given.take("max_restarts").map(|argument| Keyed {
                value: max_restarts(&argument, diagnostics),
                key: argument.key,
            }),
        }
    }

    /// Refuses what has no effect without `restart`.
    pub(super) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.was_given {
            return;
        }
        for given in [&self.backoff, &self.max_restarts].into_iter().flatten() {
            let key = &given.key;
            diagnostics.refuse(
                key,
                format!("`{key}` needs a `restart` to hold back: add `restart = \"on-failure\"`"),
            );
        }
    }

    pub(crate) fn was_given(&self) -> bool {
        self.was_given
    }

    /// Whether the policy restarts: `false` if the value was refused.
    pub(crate) fn is_valid(&self) -> bool {
        self.after.is_some()
    }

    /// The policy's part.
    pub(super) fn policy(&self, krate: &Path) -> Option<TokenStream> {
        let after = match self.after? {
            "always" => quote!(ALWAYS),
            _ => quote!(ON_FAILURE),
        };
        let backoff = self.backoff.iter().filter_map(|given| given.value.as_ref());
        let max_restarts = self.max_restarts.iter().filter_map(|given| given.value.as_ref());
        Some(quote! {
            #krate::__private::Restart::#after
                #(.backoff(#backoff))*
                #(.max_restarts(#max_restarts))*
        })
    }
}

/// `"100ms..30s"`, or a `const` range of `Duration`.
fn backoff(
    argument: &Argument,
    krate: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<TokenStream> {
    const EXAMPLE: &str = "write `backoff = \"100ms..30s\"`";
    let value = &argument.value;
    let text = match literal(value) {
        None if !matches!(value, syn::Expr::Unary(_)) => {
            return Some(checked(krate, &argument.key, value));
        }
        Some(Lit::Str(text)) => text,
        _ => {
            diagnostics.refuse(value, format!("`backoff` takes two durations: {EXAMPLE}"));
            return None;
        }
    };
    let written = text.value();
    let bounds = written.split_once("..").and_then(|(lowest, highest)| {
        Some(((lowest, read_duration(lowest)?), (highest, read_duration(highest)?)))
    });
    let refusal = match bounds {
        None => format!("`{written}` is not a range of two durations: {EXAMPLE}"),
        // Turned round, the second of the two would begin it.
        Some(((_, 0), _) | (_, (_, 0))) => format!("`backoff` must begin above 0: {EXAMPLE}"),
        Some(((low, lowest), (high, highest))) if lowest > highest => {
            format!(
                "the bounds of `backoff` are the other way round: write `backoff = \"{high}..{low}\"`"
            )
        }
        Some(((_, lowest), (_, highest))) => {
            return Some(quote! {
                ::core::time::Duration::from_millis(#lowest)
                    ..::core::time::Duration::from_millis(#highest)
            });
        }
    };
    diagnostics.refuse(text, refusal);
    None
}

/// `"5/1m"`.
fn max_restarts(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<TokenStream> {
    const EXAMPLE: &str = "write `max_restarts = \"5/1m\"` for five in a minute";
    let Some(Lit::Str(text)) = literal(&argument.value) else {
        let value = &argument.value;
        diagnostics.refuse(value, format!("`max_restarts` takes a number and a window: {EXAMPLE}"));
        return None;
    };
    let written = text.value();
    let read = written.split_once('/').and_then(|(most, window)| {
        // A sign would be read too.
        let is_number = most.bytes().all(|byte| byte.is_ascii_digit());
        Some((most.parse::<u32>().ok().filter(|_| is_number)?, read_duration(window)?))
    });
    let refusal = match read {
        None => format!("`{written}` is not a number of restarts and a window: {EXAMPLE}"),
        Some((0, _)) => "`max_restarts` of 0 allows none: remove `restart`".to_owned(),
        Some((_, 0)) => format!("the window of `max_restarts` must be longer than 0: {EXAMPLE}"),
        Some((most, window)) => {
            return Some(quote!(#most, ::core::time::Duration::from_millis(#window)));
        }
    };
    diagnostics.refuse(text, refusal);
    None
}
