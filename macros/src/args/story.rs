//! The exit story: one paragraph on how a run stops, for the function's documentation.

use quote::ToTokens;

use super::{
    defaults,
    restart::{After, Backoff},
    task::{Grace, OnCancel, TaskArgs},
    values::{Constant, Count, Duration},
};

impl TaskArgs {
    /// The exit story of a function with these arguments.
    pub(crate) fn exit_story(&self, has_token: bool, returns_unit: bool) -> String {
        let mut story = "**Supervised.**".to_owned();
        let mut add = |sentence: &str| {
            story.push(' ');
            story.push_str(sentence);
        };
        if let Some(limit) = &self.limit {
            let calls = match count(limit) {
                one if one == "1" => "1 call runs".to_owned(),
                many => format!("{many} calls run"),
            };
            let beyond = if self.rejects() { "; further calls are rejected" } else { "" };
            add(&format!("At most {calls} at once{beyond}."));
        }
        match self.grace() {
            _ if self.on_cancel(has_token) == OnCancel::Drop => {
                add("Stops at its next `.await` when the token fires.");
            }
            Grace::For(grace) => add(&format!(
                "Stops by itself when the token fires, or is dropped {} later.",
                duration(grace)
            )),
            Grace::Never => add("Stops by itself when the token fires, however long that takes."),
        }
        let restarts = self.restart.after();
        let recurs = self.recurs();
        if let Some(timeout) = &self.timeout {
            let who = if recurs { "Each run times" } else { "Times" };
            add(&format!("{who} out after {}.", duration(timeout)));
        }
        if let Some(interval) = self.every() {
            let failure = if restarts.is_some() { "" } else { " A failed run is the last." };
            add(&format!("Runs every {}, once at a time.{failure}", duration(interval)));
        }
        if let Some(after) = restarts {
            let after = match after {
                After::Failure => "a failure",
                After::AnyEnd => "any end but a cancellation",
            };
            let filter = self.restart.filter().map_or_else(String::new, |path| {
                format!(
                    " (after an error only if {} accepts it)",
                    code(&path.to_token_stream().to_string())
                )
            });
            let backoff = backoff(self.restart.backoff().unwrap_or(&defaults::BACKOFF));
            let rate = self.restart.max_restarts().unwrap_or(&defaults::MAX_RESTARTS);
            let times = match rate.restarts {
                1 => "once".to_owned(),
                many => format!("{many} times"),
            };
            let window = rate.window;
            add(&format!(
                "Restarts after {after}{filter}, {backoff} later, at most {times} in {window}."
            ));
        }
        add(match (returns_unit, recurs) {
            (true, _) => "A panic is logged and counted.",
            (false, false) => "A panic becomes an `Err`.",
            (false, true) => "A panic of the last run becomes an `Err`.",
        });
        story
    }
}

fn count(count: &Count) -> String {
    match count {
        Count::Number(number) => number.base10_digits().to_owned(),
        Count::Constant(value) => constant(value),
    }
}

fn duration(duration: &Duration) -> String {
    match duration {
        Duration::Period(period) => period.to_string(),
        Duration::Constant(value) => constant(value),
    }
}

fn backoff(backoff: &Backoff) -> String {
    match backoff {
        Backoff::Range(lowest, highest) => format!("{lowest} to {highest}"),
        Backoff::Constant(value) => constant(value),
    }
}

fn constant(constant: &Constant) -> String {
    code(constant.written())
}

/// Code as it is written, without the spaces that printed tokens have.
fn code(written: &str) -> String {
    const SPACED: [(&str, &str); 6] =
        [(" :: ", "::"), (" (", "("), ("( ", "("), (" )", ")"), (" . ", "."), (" ,", ",")];
    let written = written.to_owned();
    let tight = SPACED.iter().fold(written, |text, (spaced, tight)| text.replace(spaced, tight));
    format!("`{tight}`")
}

#[cfg(test)]
mod tests {
    use crate::{expand::supervised, syntax::literal, testing::refusals::refusals};

    /// The story in the documentation of an expanded function.
    fn story(arguments: &str, function: &str) -> String {
        let arguments = arguments.parse().expect("the arguments are tokens");
        let function = function.parse().expect("the function is tokens");
        let expanded = supervised(arguments, function);
        assert!(refusals(expanded.clone()).is_empty(), "refused: {expanded}");
        let function: syn::ItemFn = syn::parse2(expanded).expect("a function is printed");
        let texts = function.attrs.iter().filter_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(meta) => match literal(&meta.value) {
                Some(syn::Lit::Str(text)) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
        let stories: Vec<_> = texts.filter(|text| text.contains("Supervised.")).collect();
        stories.concat().trim_start().to_owned()
    }

    const FALLIBLE: &str = "#[doc = \"Works.\"] async fn work() -> Result<(), TaskError> {}";
    const TOLD: &str = "#[doc = \"Works.\"] async fn work(token: CancellationToken) -> Result<(), TaskError> { token.cancelled().await }";

    #[test]
    fn the_story_names_limit_and_timeout() {
        assert_eq!(
            story("limit = 16, timeout = \"10s\"", FALLIBLE),
            "**Supervised.** At most 16 calls run at once. Stops at its next `.await` when the token fires. \
             Times out after 10 s. A panic becomes an `Err`.",
        );
    }

    #[test]
    fn the_story_names_on_full_reject() {
        assert_eq!(
            story("limit = 1, on_full = \"reject\"", FALLIBLE),
            "**Supervised.** At most 1 call runs at once; further calls are rejected. \
             Stops at its next `.await` when the token fires. A panic becomes an `Err`.",
        );
    }

    #[test]
    fn the_story_names_the_grace_of_a_cooperating_body() {
        let end = "A panic becomes an `Err`.";
        assert_eq!(
            story("", TOLD),
            format!(
                "**Supervised.** Stops by itself when the token fires, or is dropped 20 s later. {end}"
            ),
        );
        assert_eq!(
            story("grace = \"2m\"", TOLD),
            format!(
                "**Supervised.** Stops by itself when the token fires, or is dropped 2 min later. {end}"
            ),
        );
        assert_eq!(
            story("grace = \"none\"", TOLD),
            format!(
                "**Supervised.** Stops by itself when the token fires, however long that takes. {end}"
            ),
        );
        assert_eq!(
            story("on_cancel = \"drop\"", TOLD),
            format!("**Supervised.** Stops at its next `.await` when the token fires. {end}"),
        );
    }

    #[test]
    fn the_story_prints_a_constant_as_written() {
        assert_eq!(
            story("limit = MOST, timeout = Duration::from_secs(2 * 60)", FALLIBLE),
            "**Supervised.** At most `MOST` calls run at once. Stops at its next `.await` when the token fires. \
             Times out after `Duration::from_secs(2 * 60)`. A panic becomes an `Err`.",
        );
    }

    #[test]
    fn the_story_names_when_and_how_often_it_restarts() {
        assert_eq!(
            story("restart = \"on-failure\", timeout = \"1h\"", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. Each run times out after 1 h. \
             Restarts after a failure, 100 ms to 30 s later, at most 5 times in 1 min. \
             A panic of the last run becomes an `Err`.",
        );
        assert_eq!(
            story("restart = \"always\", backoff = WAITS, max_restarts = \"1/500ms\"", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             Restarts after any end but a cancellation, `WAITS` later, at most once in 500 ms. \
             A panic of the last run becomes an `Err`.",
        );
    }

    #[test]
    fn the_story_names_the_filter_of_errors() {
        assert_eq!(
            story("restart = \"on-failure\", restart_if = Error::is_transient", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             Restarts after a failure (after an error only if `Error::is_transient` accepts it), \
             100 ms to 30 s later, at most 5 times in 1 min. A panic of the last run becomes an `Err`.",
        );
    }

    #[test]
    fn the_story_names_the_interval() {
        assert_eq!(
            story("every = \"30s\"", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             Runs every 30 s, once at a time. A failed run is the last. \
             A panic of the last run becomes an `Err`.",
        );
        assert_eq!(
            story("every = PERIOD, restart = \"on-failure\", timeout = \"5s\"", FALLIBLE),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             Each run times out after 5 s. Runs every `PERIOD`, once at a time. \
             Restarts after a failure, 100 ms to 30 s later, at most 5 times in 1 min. \
             A panic of the last run becomes an `Err`.",
        );
    }

    #[test]
    fn the_story_of_a_unit_function_explains_panics() {
        assert_eq!(
            story("", "#[doc = \"Works.\"] async fn work() {}"),
            "**Supervised.** Stops at its next `.await` when the token fires. \
             A panic is logged and counted.",
        );
    }

    #[test]
    fn a_function_without_documentation_gets_none() {
        assert_eq!(story("limit = 16", "#[doc(hidden)] #[inline] async fn work() {}"), "");
    }
}
