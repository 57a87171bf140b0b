//! `restart`, `restart_if`, `backoff` and `max_restarts`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Expr, ExprPath, Lit, Path};

use super::{
    list::{Argument, Arguments, Keyed},
    values::{self, Constant, Period},
};
use crate::{diagnostics::Diagnostics, syntax::literal};

/// `restart` and its related arguments.
pub(crate) struct Restart {
    was_given: bool,
    after: Option<After>,
    restart_if: Option<Keyed<Option<ExprPath>>>,
    backoff: Option<Keyed<Option<Backoff>>>,
    max_restarts: Option<Keyed<Option<Rate>>>,
}

/// The ends of a run after which it runs again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Failure,
    AnyEnd,
}

/// The wait before another run.
pub(crate) enum Backoff {
    Range(Period, Period),
    Constant(Constant),
}

impl ToTokens for Backoff {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Range(lowest, highest) => tokens.extend(quote!(#lowest..#highest)),
            Self::Constant(constant) => constant.to_tokens(tokens),
        }
    }
}

/// How many restarts are allowed within a window.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) restarts: u32,
    pub(crate) window: Period,
}

impl ToTokens for Rate {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { restarts, window } = self;
        tokens.extend(quote!(#restarts, #window));
    }
}

impl Restart {
    pub(super) fn take(given: &mut Arguments, krate: &Path, diagnostics: &mut Diagnostics) -> Self {
        let restart = given.take("restart");
        Self {
            was_given: restart.is_some(),
            after: restart.and_then(|argument| {
                let choices = [("on-failure", After::Failure), ("always", After::AnyEnd)];
                values::choice(&argument, &choices, diagnostics)
            }),
            restart_if: given.take("restart_if").map(|argument| Keyed {
                value: values::item_path(&argument, diagnostics),
                key: argument.key,
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

    /// Refuses arguments that have no effect without `restart`.
    pub(super) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.was_given {
            return;
        }
        let keys = [
            self.backoff.as_ref().map(|given| &given.key),
            self.max_restarts.as_ref().map(|given| &given.key),
        ];
        if let Some(key) = self.filter_key() {
            diagnostics.refuse(
                key,
                "`restart_if` has no restarts to filter\nhelp: add `restart = \"on-failure\"`, or remove it",
            );
        }
        for key in keys.into_iter().flatten() {
            diagnostics.refuse(
                key,
                format!(
                    "`{key}` has no effect without `restart`\nhelp: add `restart = \"on-failure\"`"
                ),
            );
        }
    }

    pub(crate) fn was_given(&self) -> bool {
        self.was_given
    }

    /// The ends after which it runs again; none without a `restart`, or if its value was refused.
    pub(crate) fn after(&self) -> Option<After> {
        self.after
    }

    /// The key of `restart_if`, if it was given.
    pub(crate) fn filter_key(&self) -> Option<&Ident> {
        self.restart_if.as_ref().map(|given| &given.key)
    }

    /// The function that `restart_if` names.
    pub(crate) fn filter(&self) -> Option<&ExprPath> {
        self.restart_if.as_ref()?.value.as_ref()
    }

    pub(super) fn backoff(&self) -> Option<&Backoff> {
        self.backoff.as_ref()?.value.as_ref()
    }

    pub(super) fn max_restarts(&self) -> Option<&Rate> {
        self.max_restarts.as_ref()?.value.as_ref()
    }

    /// The policy's part.
    pub(super) fn policy(&self, krate: &Path) -> Option<TokenStream> {
        let after = match self.after? {
            After::AnyEnd => quote!(ALWAYS),
            After::Failure => quote!(ON_FAILURE),
        };
        let backoff = self.backoff().into_iter();
        let max_restarts = self.max_restarts().into_iter();
        Some(quote! {
            #krate::__private::Restart::#after
                #(.backoff(#backoff))*
                #(.max_restarts(#max_restarts))*
        })
    }
}

/// `"100ms..30s"`, or a `const` range of `Duration`.
fn backoff(argument: &Argument, krate: &Path, diagnostics: &mut Diagnostics) -> Option<Backoff> {
    const EXAMPLE: &str = "help: write `backoff = \"100ms..30s\"`";
    let value = &argument.value;
    let text = match literal(value) {
        None if !matches!(value, Expr::Unary(_)) => {
            return Some(Backoff::Constant(Constant::checked(krate, &argument.key, value)));
        }
        Some(Lit::Str(text)) => text,
        _ => {
            diagnostics.refuse(value, format!("`backoff` takes two durations\n{EXAMPLE}"));
            return None;
        }
    };
    let written = text.value();
    let bounds = written.split_once("..").and_then(|(lowest, highest)| {
        Some(((lowest, Period::parse(lowest)?), (highest, Period::parse(highest)?)))
    });
    let refusal = match bounds {
        None => format!("`{}` is not a range of two durations\n{EXAMPLE}", written.escape_debug()),
        // The swapped bounds would start at 0 too.
        Some(((_, lowest), (_, highest))) if lowest.is_zero() || highest.is_zero() => {
            format!("`backoff` must start above 0\n{EXAMPLE}")
        }
        Some(((low, lowest), (high, highest)))
            if lowest.milliseconds() > highest.milliseconds() =>
        {
            format!(
                "the bounds of `backoff` are reversed\nhelp: write `backoff = \"{high}..{low}\"`"
            )
        }
        Some(((_, lowest), (_, highest))) => return Some(Backoff::Range(lowest, highest)),
    };
    diagnostics.refuse(text, refusal);
    None
}

/// `"5/1m"`.
fn max_restarts(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<Rate> {
    const EXAMPLE: &str =
        "help: write `max_restarts = \"5/1m\"` for at most 5 restarts in 1 minute";
    let Some(Lit::Str(text)) = literal(&argument.value) else {
        let value = &argument.value;
        diagnostics.refuse(value, format!("`max_restarts` takes a number and a window\n{EXAMPLE}"));
        return None;
    };
    let written = text.value();
    let read = written.split_once('/').and_then(|(most, window)| {
        // `parse` would accept a sign too.
        let is_number = most.bytes().all(|byte| byte.is_ascii_digit());
        Some((most.parse::<u32>().ok().filter(|_| is_number)?, Period::parse(window)?))
    });
    let refusal = match read {
        None => format!(
            "`{}` is not a number of restarts and a window\n{EXAMPLE}",
            written.escape_debug()
        ),
        Some((0, _)) => "`max_restarts` of 0 allows no restart\nhelp: remove `restart`".to_owned(),
        Some((_, window)) if window.is_zero() => {
            format!("the window of `max_restarts` must be longer than 0\n{EXAMPLE}")
        }
        Some((restarts, window)) => return Some(Rate { restarts, window }),
    };
    diagnostics.refuse(text, refusal);
    None
}
