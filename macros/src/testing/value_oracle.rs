//! A second parser of argument values: the oracle of the fuzz target `values`. The test below runs its seeds.
//!
//! Invariants
//!
//! 1. A value that this parser accepts expands to the same numbers, without an error.
//! 2. Anything else is refused with one error.
//! 3. A value that an error proposes is accepted.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use crate::{expand, testing::refusals::refusals};

/// An argument whose value is a text with a grammar, and the numbers that a text stands for.
type Key = (&'static str, fn(&str) -> Option<Vec<u128>>);

const FUNCTION_KEYS: [Key; 5] = [
    ("timeout", duration),
    ("every", duration),
    ("grace", duration_or_none),
    ("backoff", range),
    ("max_restarts", rate),
];

const MAIN_KEYS: [Key; 3] =
    [("grace", duration), ("linger", duration_or_zero), ("warn_blocked", duration_or_off)];

/// Tests a text as the value of each argument that takes one.
pub(crate) fn check(text: &str) {
    check_at(&FUNCTION_KEYS, on_a_function, text);
    check_at(&MAIN_KEYS, on_main, text);
}

fn check_at(keys: &[Key], expand: fn(TokenStream) -> TokenStream, text: &str) {
    let expanded = expand(keys.iter().map(|(key, _)| argument(key, text)).collect());
    let mut errors = refusals(expanded.clone());
    for (key, read) in keys {
        let about_it;
        (about_it, errors) =
            errors.into_iter().partition::<Vec<_>, _>(|error| is_about(key, keys, error));
        match (read(text), &about_it[..]) {
            (Some(read), []) => {
                assert_eq!(numbers(expanded.clone(), key), read, "{key} = {text:?}");
            }
            (None, [refusal]) => check_advice(key, expand, text, refusal),
            (read, _) => panic!("{key} = {text:?} is {read:?}, but the macro says: {about_it:?}"),
        }
    }
    assert!(errors.is_empty(), "{text:?} was refused: {errors:?}");
}

fn argument(key: &str, text: &str) -> TokenStream {
    let key: TokenStream = key.parse().expect("a name is a token");
    quote!(#key = #text,)
}

/// Returns where the advice of an error starts: its last quotation.
fn advice_at(key: &str, error: &str) -> Option<usize> {
    error.rfind(&format!("`{key} = \""))
}

fn is_about(key: &str, keys: &[Key], error: &str) -> bool {
    let about = keys.iter().max_by_key(|(key, _)| advice_at(key, error));
    match about {
        Some((about, _)) if advice_at(about, error).is_some() => *about == key,
        _ => error.starts_with("`max_restarts` of 0") && key == "max_restarts",
    }
}

fn check_advice(key: &str, expand: fn(TokenStream) -> TokenStream, text: &str, refusal: &str) {
    let Some(at) = advice_at(key, refusal) else { return };
    let (advice, _) = refusal[at + key.len() + 5..].split_once("\"`").expect("what is quoted ends");
    let errors = refusals(expand(argument(key, advice)));
    assert!(errors.is_empty(), "{text:?}: {refusal}\nbut then: {errors:?}");
}

/// The documentation contains the texts too.
fn on_a_function(arguments: TokenStream) -> TokenStream {
    expand::supervised(
        quote!(restart = "always", #arguments),
        quote! {
            /// Documented.
            async fn work(token: &CancellationToken) { token.cancelled().await }
        },
    )
}

fn on_main(arguments: TokenStream) -> TokenStream {
    expand::main(
        arguments,
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

fn duration_or_off(text: &str) -> Option<Vec<u128>> {
    if text == "off" { Some(Vec::new()) } else { duration(text) }
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

#[test]
fn both_parsers_accept_the_same_fuzz_seeds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/values");
    let seeds = std::fs::read_dir(folder).expect("the seeds exist");
    let texts = seeds.map(|seed| std::fs::read_to_string(seed.expect("a file").path()));
    let texts: Vec<_> = texts.map(|text| text.expect("a seed is text")).collect();
    assert!(!texts.is_empty());
    texts.iter().for_each(|text| check(text));
}
