//! Collects refusals: all mistakes of one item are reported in one compile.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects the refusals of one macro call.
#[derive(Default)]
pub(crate) struct Diagnostics {
    first: Option<syn::Error>,
}

impl Diagnostics {
    /// Refuses the tokens: `message` is what rustc prints at them.
    pub(crate) fn refuse(&mut self, tokens: &impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Refuses the code at one place.
    pub(crate) fn refuse_at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds an error of the parser unchanged.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.first {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// One `compile_error!` for each refusal, to be placed beside the expanded item.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.first.map(syn::Error::into_compile_error).unwrap_or_default()
    }
}

/// Quotes names for a message: `` `a`, `b`, `c` ``.
pub(crate) fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The known name nearest to a misspelt one, if any is close enough.
pub(crate) fn nearest<'a>(misspelt: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (distance(misspelt, name), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edits (insert, delete, replace a character) that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_suggests_the_nearest_argument() {
        let known = ["name", "limit", "on_full", "timeout"];
        assert_eq!(nearest("limt", &known), Some("limit"));
        assert_eq!(nearest("onfull", &known), Some("on_full"));
        assert_eq!(nearest("time_out", &known), Some("timeout"));
    }

    #[test]
    fn a_longer_name_allows_more_typos() {
        for (given, name) in
            [("nmae", "name"), ("tmout", "timeout"), ("maxrestrat", "max_restarts")]
        {
            assert_eq!(nearest(given, &[name]), Some(name), "{given}");
        }
        for (given, name) in [("xyzname", "name"), ("namexyz", "name"), ("tmut", "timeout")] {
            assert_eq!(nearest(given, &[name]), None, "{given}");
        }
    }

    #[test]
    fn the_nearer_of_two_names_is_suggested() {
        assert_eq!(nearest("no_exist", &["no_exits_", "no_exit"]), Some("no_exit"));
    }

    #[test]
    fn a_different_word_suggests_nothing() {
        assert_eq!(nearest("colour", &["name", "limit"]), None);
    }
}
