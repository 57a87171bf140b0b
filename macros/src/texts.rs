//! What the texts of arguments mean, read by a second reader: the oracle of the fuzzer's target `texts`, whose seeds
//! the test below reads too.
//!
//! Invariants
//!
//! 1. What the second reader takes is expanded with the same numbers, and without an error.
//! 2. Anything else is refused with one error.
//! 3. What an error says to write instead is taken.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use crate::{entry, function};

/// An argument whose value is a text with a grammar.
struct Key {
    name: &'static str,
    expand: fn(TokenStream) -> TokenStream,
    /// The numbers that a text stands for.
    read: fn(&str) -> Option<Vec<u128>>,
}

const KEYS: [Key; 6] = [
    Key { name: "timeout", expand: on_a_function, read: duration },
    Key { name: "grace", expand: on_a_function, read: duration_or_none },
    Key { name: "backoff", expand: on_a_function, read: range },
    Key { name: "max_restarts", expand: on_a_function, read: rate },
    Key { name: "grace", expand: on_main, read: duration },
    Key { name: "linger", expand: on_main, read: duration_or_zero },
];

/// Puts a text into each place where one may stand.
pub(crate) fn check(text: &str) {
    for key in &KEYS {
        let expanded = key.expanded(text);
        let errors = errors(expanded.clone());
        let numbers = numbers(expanded, key.name);
        match ((key.read)(text), &errors[..]) {
            (Some(read), []) => assert_eq!(numbers, read, "{} = {text:?}", key.name),
            (None, [refusal]) => key.check_advice(text, refusal),
            (read, _) => panic!("{} = {text:?} is {read:?}, and was told: {errors:?}", key.name),
        }
    }
}

impl Key {
    fn expanded(&self, text: &str) -> TokenStream {
        let name: TokenStream = self.name.parse().expect("a name is a token");
        (self.expand)(quote!(#name = #text))
    }

    /// The last `key = "…"` of a refusal is what to write instead.
    fn check_advice(&self, text: &str, refusal: &str) {
        let Some((_, advice)) = refusal.rsplit_once(&format!("`{} = \"", self.name)) else {
            return assert!(
                refusal.ends_with("remove `restart`"),
                "{text:?}: no advice: {refusal}"
            );
        };
        let (advice, _) = advice.split_once("\"`").expect("what is quoted ends");
        let errors = errors(self.expanded(advice));
        assert!(errors.is_empty(), "{text:?}: {refusal}\nbut then: {errors:?}");
    }
}

/// The documentation tells the texts too.
fn on_a_function(argument: TokenStream) -> TokenStream {
    function::expand(
        quote!(restart = "always", #argument),
        quote! {
            /// Documented.
            async fn work(token: &CancellationToken) { token.cancelled().await }
        },
    )
}

fn on_main(argument: TokenStream) -> TokenStream {
    entry::main(
        argument,
        quote!(
            async fn main() {}
        ),
    )
}

fn duration_or_zero(text: &str) -> Option<Vec<u128>> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let (digits, unit) =
        units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))?;
    let milliseconds = number(digits)?.checked_mul(unit)?;
    (milliseconds <= u128::from(u64::MAX)).then(|| vec![milliseconds])
}

fn duration(text: &str) -> Option<Vec<u128>> {
    duration_or_zero(text).filter(|read| read[0] > 0)
}

fn duration_or_none(text: &str) -> Option<Vec<u128>> {
    if text == "none" { Some(Vec::new()) } else { duration(text) }
}

fn range(text: &str) -> Option<Vec<u128>> {
    let at = text.find("..")?;
    let both = [duration(&text[..at])?, duration(&text[at + 2..])?].concat();
    both.is_sorted().then_some(both)
}

fn rate(text: &str) -> Option<Vec<u128>> {
    let at = text.find('/')?;
    let most = number(&text[..at]).filter(|most| (1..=u128::from(u32::MAX)).contains(most))?;
    Some([vec![most], duration(&text[at + 1..])?].concat())
}

/// Digits only; a number that is too large for anyone stays so.
fn number(digits: &str) -> Option<u128> {
    let mut number = (!digits.is_empty()).then_some(0_u128)?;
    for digit in digits.bytes() {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.saturating_mul(10).saturating_add(digit.into());
    }
    Some(number)
}

/// The integers in the parentheses behind a name, at any depth.
fn numbers(tokens: TokenStream, behind: &str) -> Vec<u128> {
    let mut found = Vec::new();
    let mut is_behind = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if is_behind => found.extend(integers(group.stream())),
            TokenTree::Group(group) => found.extend(numbers(group.stream(), behind)),
            TokenTree::Ident(name) => {
                is_behind = name == behind;
                continue;
            }
            _ => {}
        }
        is_behind = false;
    }
    found
}

fn integers(tokens: TokenStream) -> Vec<u128> {
    let integers = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Group(group) => integers(group.stream()),
        TokenTree::Literal(literal) => {
            vec![
                literal
                    .to_string()
                    .trim_end_matches("u64")
                    .trim_end_matches("u32")
                    .parse()
                    .expect("an integer"),
            ]
        }
        _ => Vec::new(),
    });
    integers.collect()
}

/// What the compiler would tell.
fn errors(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_error = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if is_error => {
                let text = syn::parse2::<syn::LitStr>(group.stream()).expect("an error has a text");
                found.push(text.value());
                is_error = false;
            }
            TokenTree::Group(group) => found.extend(errors(group.stream())),
            TokenTree::Ident(name) => is_error = name == "compile_error",
            _ => {}
        }
    }
    found
}

#[test]
fn each_text_of_the_fuzzer_is_read_as_by_the_second_reader() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/texts");
    let seeds = std::fs::read_dir(folder).expect("the seeds are there");
    let texts = seeds.map(|seed| std::fs::read_to_string(seed.expect("a file").path()));
    let texts: Vec<_> = texts.map(|text| text.expect("a seed is text")).collect();
    assert!(!texts.is_empty());
    texts.iter().for_each(|text| check(text));
}
