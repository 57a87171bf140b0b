//! Refusals, collected: all mistakes of one item arrive in one compile.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

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

    /// Refuses one place.
    pub(crate) fn refuse_at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Takes an error of the parser as it is.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.first {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// One `compile_error!` for each refusal, to be put beside the expanded item.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.first.map(syn::Error::into_compile_error).unwrap_or_default()
    }
}

/// The first token's place: the smallest one to point at when a whole construct is wrong.
pub(crate) fn first_span(tokens: &impl ToTokens) -> Span {
    tokens.to_token_stream().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}

/// The last token's place.
pub(crate) fn last_span(tokens: &impl ToTokens) -> Span {
    tokens.to_token_stream().into_iter().last().map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) => group.span_close(),
        token => token.span(),
    })
}

/// The same tokens, each with its own hygiene, with errors told at a place of the user's.
pub(crate) fn located(tokens: TokenStream, place: Span) -> TokenStream {
    let locate = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            let mut inner = Group::new(group.delimiter(), located(group.stream(), place));
            inner.set_span(group.span());
            token = inner.into();
        }
        token
    };
    located_outer(tokens.into_iter().map(locate).collect(), place)
}

/// The same for the outermost tokens alone: what stands within a pair of braces stays where it is.
pub(crate) fn located_outer(tokens: TokenStream, place: Span) -> TokenStream {
    let locate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(place));
        token
    };
    tokens.into_iter().map(locate).collect()
}

/// An item of the runtime crate, with errors told at a place of the user's. A crate path of the user's own
/// stays where he wrote it, so that a wrong one is told there, once.
pub(crate) fn runtime_item(krate: &syn::Path, path: TokenStream, place: Span) -> TokenStream {
    let path = located(path, place);
    if is_default_path(krate) {
        let krate = located(krate.to_token_stream(), place);
        quote!(#krate #path)
    } else {
        quote!(#krate #path)
    }
}

/// Whether the path is the one that stands for a crate path that the user did not give.
pub(crate) fn is_default_path(krate: &syn::Path) -> bool {
    krate.leading_colon.is_some()
        && krate.segments.len() == 1
        && krate.segments[0].ident == "tokio_supervised"
}

/// Quotes names for a message: `` `a`, `b`, `c` ``.
pub(crate) fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The known name that is nearest to a misspelt one, if one is near enough to be meant.
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
    fn a_slip_of_the_hand_finds_the_argument_that_was_meant() {
        let known = ["name", "limit", "on_full", "timeout"];
        assert_eq!(nearest("limt", &known), Some("limit"));
        assert_eq!(nearest("onfull", &known), Some("on_full"));
        assert_eq!(nearest("time_out", &known), Some("timeout"));
    }

    #[test]
    fn the_longer_a_name_is_the_more_slips_are_forgiven() {
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
    fn of_two_names_the_nearer_one_was_meant() {
        assert_eq!(nearest("no_exist", &["no_exits_", "no_exit"]), Some("no_exit"));
    }

    #[test]
    fn a_different_word_suggests_nothing() {
        assert_eq!(nearest("colour", &["name", "limit"]), None);
    }
}
