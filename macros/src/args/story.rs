//! The exit story: how a run stops, told at the end of the function's documentation.

use quote::ToTokens;
use syn::{Expr, Lit};

use super::list::Arguments;
use crate::syntax::literal;

/// What the arguments say, as it is told; whether they may say so is judged elsewhere.
pub(crate) struct Story {
    limit: Option<String>,
    rejects: bool,
    timeout: Option<String>,
    grace: Option<String>,
    restart: Option<Restart>,
}

struct Restart {
    after: &'static str,
    backoff: String,
    most: String,
    window: String,
}

impl Story {
    pub(super) fn read(given: &Arguments) -> Self {
        let told = |key| given.value_of(key).map(told);
        let text = |key| given.value_of(key).and_then(text);
        Self {
            limit: told("limit"),
            rejects: text("on_full").is_some_and(|text| text == "reject"),
            timeout: told("timeout"),
            grace: match text("grace") {
                Some(never) if never == "none" => None,
                _ => Some(told("grace").unwrap_or_else(|| "20 s".to_owned())),
            },
            restart: text("restart").map(|restart| {
                let most = text("max_restarts").unwrap_or_else(|| "5/1m".to_owned());
                let (most, window) = most.split_once('/').unwrap_or((&most, ""));
                Restart {
                    after: if restart == "always" {
                        "any end but a cancellation"
                    } else {
                        "a failure"
                    },
                    backoff: told("backoff").unwrap_or_else(|| "100 ms to 30 s".to_owned()),
                    most: most.to_owned(),
                    window: told_duration(window),
                }
            }),
        }
    }

    pub(super) fn tell(&self, cooperates: bool, returns_nothing: bool) -> String {
        let mut story = "**Supervised.**".to_owned();
        let mut tell = |sentence: &str| {
            story.push(' ');
            story.push_str(sentence);
        };
        if let Some(limit) = &self.limit {
            let times =
                if limit == "1" { "once at a time" } else { &format!("{limit} times at once") };
            let beyond = if self.rejects { ", and is rejected beyond" } else { "" };
            tell(&format!("Runs at most {times}{beyond}."));
        }
        match &self.grace {
            _ if !cooperates => tell("Stops at its next `.await` when the token fires."),
            Some(grace) => {
                tell(&format!("Ends by itself when the token fires, or is dropped {grace} later."));
            }
            None => tell("Ends by itself when the token fires, however long that takes."),
        }
        if let Some(timeout) = &self.timeout {
            let who = if self.restart.is_some() { "Each run gives" } else { "Gives" };
            tell(&format!("{who} up after {timeout}."));
        }
        if let Some(Restart { after, backoff, most, window }) = &self.restart {
            let times = if most == "1" { "once" } else { &format!("{most} times") };
            tell(&format!(
                "Runs again after {after}, {backoff} later, at most {times} in {window}."
            ));
        }
        tell(match (returns_nothing, &self.restart) {
            (true, _) => "A panic is told by an event and a counter.",
            (false, None) => "A panic becomes an `Err`.",
            (false, Some(_)) => "A panic of the last run becomes an `Err`.",
        });
        story
    }
}

fn text(value: &Expr) -> Option<String> {
    match literal(value) {
        Some(Lit::Str(text)) => Some(text.value()),
        _ => None,
    }
}

/// A number, a duration, a range of durations; a constant as it is written.
fn told(value: &Expr) -> String {
    match literal(value) {
        Some(Lit::Int(number)) => number.base10_digits().to_owned(),
        Some(Lit::Str(text)) => match text.value().split_once("..") {
            Some((from, to)) => format!("{} to {}", told_duration(from), told_duration(to)),
            None => told_duration(&text.value()),
        },
        _ => format!("`{}`", tidy(&value.to_token_stream().to_string())),
    }
}

/// `10s` as `10 s`.
fn told_duration(text: &str) -> String {
    let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = if unit == "m" { "min" } else { unit };
    format!("{number} {unit}")
}

/// Tokens are written out with spaces where nobody writes them.
fn tidy(written: &str) -> String {
    const SPACED: [(&str, &str); 6] =
        [(" :: ", "::"), (" (", "("), ("( ", "("), (" )", ")"), (" . ", "."), (" ,", ",")];
    SPACED.iter().fold(written.to_owned(), |text, (spaced, tight)| text.replace(spaced, tight))
}

#[cfg(test)]
mod tests {
    use crate::{expand::supervised, testing::refusals::refusals};

    /// The story in the documentation of an expanded function.
    fn story(arguments: &str, function: &str) -> String {
        let arguments = arguments.parse().expect("the arguments are tokens");
        let function = function.parse().expect("the function is tokens");
        let expanded = supervised(arguments, function);
        assert!(refusals(expanded.clone()).is_empty(), "refused: {expanded}");
        let function: syn::ItemFn = syn::parse2(expanded).expect("a function is printed");
        let texts = function.attrs.iter().filter_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(meta) => super::text(&meta.value),
            _ => None,
        });
        let stories: Vec<_> = texts.filter(|text| text.contains("Supervised.")).collect();
        stories.concat().trim_start().to_owned()
    }

    const FALLIBLE: &str = "#[doc = \"Works.\"] async fn work() -> Result<(), TaskError> {}";
    const TOLD: &str = "#[doc = \"Works.\"] async fn work(token: CancellationToken) -> Result<(), TaskError> { token.cancelled().await }";

    #[test]
    fn a_bounded_function_tells_its_limit_and_its_timeout() {
        assert_eq!(
            story("limit = 16, timeout = \"10s\"", FALLIBLE),
            "**Supervised.** Runs at most 16 times at once. Stops at its next `.await` when the token fires. \
             Gives up after 10 s. A panic becomes an `Err`.",
        );
    }

    #[test]
    fn a_function_that_rejects_says_so() {
        assert_eq!(
            story("limit = 1, on_full = \"reject\"", FALLIBLE),
            "**Supervised.** Runs at most once at a time, and is rejected beyond. \
             Stops at its next `.await` when the token fires. A panic becomes an `Err`.",
        );
    }

    #[test]
    fn a_function_that_has_the_token_tells_its_grace() {
        let end = "A panic becomes an `Err`.";
        assert_eq!(
            story("", TOLD),
            format!(
                "**Supervised.** Ends by itself when the token fires, or is dropped 20 s later. {end}"
            ),
        );
        assert_eq!(
            story("grace = \"2m\"", TOLD),
            format!(
                "**Supervised.** Ends by itself when the token fires, or is dropped 2 min later. {end}"
            ),
        );
        assert_eq!(
            story("grace = \"none\"", TOLD),
            format!(
                "**Supervised.** Ends by itself when the token fires, however long that takes. {end}"
            ),
        );
        assert_eq!(
            story("on_cancel = \"drop\"", TOLD),
            format!("**Supervised.** Stops at its next `.await` when the token fires. {end}"),
        );
    }

    #[test]
    fn a_constant_is_told_as_it_is_written() {
        assert_eq!(
            story("limit = MOST, timeout = Duration::from_secs(2 * 60)", FALLIBLE),
            "**Supervised.** Runs at most `MOST` times at once. Stops at its next `.await` when the token fires. \
             Gives up after `Duration::from_secs(2 * 60)`. A panic becomes an `Err`.",
        );
    }

    #[test]
    fn a_function_that_restarts_tells_when_and_how_often() {
        assert_eq!(
            story("restart = \"on-failure\", timeout = \"1h\"", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. Each run gives up after 1 h. \
             Runs again after a failure, 100 ms to 30 s later, at most 5 times in 1 min. \
             A panic of the last run becomes an `Err`.",
        );
        assert_eq!(
            story("restart = \"always\", backoff = WAITS, max_restarts = \"1/500ms\"", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             Runs again after any end but a cancellation, `WAITS` later, at most once in 500 ms. \
             A panic of the last run becomes an `Err`.",
        );
    }

    #[test]
    fn a_function_that_returns_nothing_tells_where_a_panic_goes() {
        assert_eq!(
            story("", "#[doc = \"Works.\"] async fn work() {}"),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             A panic is told by an event and a counter.",
        );
    }

    #[test]
    fn a_function_without_documentation_gets_none() {
        assert_eq!(story("limit = 16", "#[doc(hidden)] #[inline] async fn work() {}"), "");
    }
}
