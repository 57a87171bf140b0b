//! One byte is one token: however the fuzzer changes the bytes, the remaining tokens stay the same.

use std::sync::LazyLock;

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Separates the arguments from the item.
const SEPARATOR: u8 = 255;
/// The end of a group; the next byte starts one.
const CLOSE: u8 = 0;
const OPEN: [Delimiter; 4] =
    [Delimiter::Parenthesis, Delimiter::Brace, Delimiter::Bracket, Delimiter::None];
/// The depth from which the compiler itself refuses nesting.
const DEEPEST: usize = 64;

const MARKS: &[u8] = b"=,.:;<>&|!?#-'+*@$%^/~";

/// The arguments' keys, and the names that the checks of a body search for.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    "
    async fn pub const unsafe extern default self Self mut ref where impl dyn for in move let if
    else match while loop break continue return await yield try struct enum trait mod use static
    type super crate as true macro_rules union gen safe raw _ a b c f T work main token name limit
    on_full timeout on_cancel grace restart restart_if backoff max_restarts every log allow linger signals flavor worker_threads
    detached_spawn blocking_sleep no_exit unused_token CancellationToken Result Option Vec Box
    String u32 Send Error tokio std core task spawn spawn_local spawn_blocking block_on
    block_in_place Handle Runtime JoinSet current thread sleep time select pin join test doc cfg
    unix inline async_trait supervised __private is_cancelled cancelled child_token unwrap
    "
    .split_ascii_whitespace()
    .collect()
});

const TEXTS: &[&str] = &[
    "",
    "10s",
    "0s",
    "1ms..2s",
    "2s..1s",
    "5/1m",
    "0/0s",
    "wait",
    "reject",
    "drop",
    "cooperate",
    "none",
    "always",
    "on-failure",
    "multi_thread",
    "current_thread",
    "::a::b",
    "C",
    "\u{1f980}",
    "99999999999999999999h",
];

const LIFETIMES: &[&str] = &["a", "b", "static", "async_trait", "_"];

pub(crate) fn arguments_and_item(bytes: &[u8]) -> (TokenStream, TokenStream) {
    let at = bytes.iter().position(|byte| *byte == SEPARATOR).unwrap_or(bytes.len());
    let (arguments, item) = bytes.split_at(at);
    (all(arguments), all(item.get(1..).unwrap_or_default()))
}

fn all(bytes: &[u8]) -> TokenStream {
    let mut bytes = bytes.iter().copied();
    let mut tokens = TokenStream::new();
    // Without an open group it separates nothing.
    while bytes.len() > 0 {
        tokens.extend(run(&mut bytes, 0));
    }
    tokens
}

/// Up to the end of the group.
fn run(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> Vec<TokenTree> {
    let mut tokens = Vec::new();
    while let Some(byte) = bytes.next().filter(|byte| *byte != CLOSE) {
        let at = usize::from(byte) - 1;
        match OPEN.get(at) {
            Some(delimiter) if depth < DEEPEST => {
                let inner = run(bytes, depth + 1).into_iter().collect();
                tokens.push(Group::new(*delimiter, inner).into());
            }
            Some(_) => {}
            None => letter(at - OPEN.len(), &mut tokens),
        }
    }
    tokens
}

fn letter(mut at: usize, tokens: &mut Vec<TokenTree>) {
    let word = |word: &str| TokenTree::from(Ident::new(word, Span::call_site()));
    for spacing in [Spacing::Alone, Spacing::Joint] {
        if let Some(mark) = MARKS.get(at) {
            return tokens.push(Punct::new(char::from(*mark), spacing).into());
        }
        at -= MARKS.len();
    }
    if let Some(found) = WORDS.get(at) {
        return tokens.push(word(found));
    }
    at -= WORDS.len();
    if let Some(text) = TEXTS.get(at) {
        return tokens.push(Literal::string(text).into());
    }
    at -= TEXTS.len();
    if let Some(lifetime) = LIFETIMES.get(at) {
        tokens.push(Punct::new('\'', Spacing::Joint).into());
        return tokens.push(word(lifetime));
    }
    at -= LIFETIMES.len();
    tokens.push(match at {
        0..4 => Literal::usize_unsuffixed(at).into(),
        4 => Literal::u8_suffixed(1).into(),
        5 => Literal::f64_unsuffixed(0.5).into(),
        6 => Literal::character('x').into(),
        7 => Literal::byte_string(b"x").into(),
        8 => Literal::u128_unsuffixed(u128::MAX).into(),
        9 => Ident::new_raw("limit", Span::call_site()).into(),
        10 => Ident::new_raw("fn", Span::call_site()).into(),
        _ => word("x"),
    });
}
