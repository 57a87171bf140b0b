//! Odd input: half-typed code, and what no person types. The macros answer with tokens, always.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use quote::{ToTokens, quote};

use crate::{entry, function, task};

/// Attribute and item, as they are when everything is in order.
const WHOLE: &[(&str, &str)] = &[
    (
        r#"limit = 16, name = "fetch", on_full = "reject", timeout = "10s", crate = "::a::b""#,
        r#"
            /// Documented.
            #[doc(hidden)]
            pub(crate) async unsafe fn fetch<'a, T: Clone + 'a, const N: usize>(
                &'a mut self,
                #[cfg(unix)] mut client: &'a [T; N],
                (host, _): (impl AsRef<str>, u32),
            ) -> Result<Vec<impl Iterator<Item = &'a T>>, Error<'a>>
            where
                T: Send,
            {
                #![allow(unused)]
                let page = client.get(host).await?;
                Ok(page)
            }
        "#,
    ),
    (
        r#"token = stop, grace = "none", on_cancel = "cooperate", limit = MOST + 1"#,
        "async fn watch(self: Arc<Self>, stop: &Stop, _: u32) -> ! { loop {} }",
    ),
    (
        r#"restart = "on-failure", backoff = "100ms..30s", max_restarts = "5/1m""#,
        "async fn watch(mut self: Box<Self>, (a, _): (u8, &'a mut T), #[cfg(x)] mut b: impl Fn()) { self.a }",
    ),
    (
        r#"restart = "always", backoff = LOW..HIGH, max_restarts = "0/0s""#,
        "async fn watch<'a>(&'a mut self, token: CancellationToken, ref a @ B { .. }: (B)) -> ! {}",
    ),
    (
        "allow(no_exit, detached_spawn), token = stop, allow(x), allow = 1",
        r#"
            /// Documented.
            async fn watch(stop: Stop) {
                let _ = stop;
                'a: loop { while true { continue 'a; } async { f(async move { g.await? }).await } }
                task::spawn_blocking(|| 1); Handle::current().spawn(h!(tokio::spawn(1)));
                thread::sleep(if a { break 'a } else { loop {} }); x.block_on(1);
            }
        "#,
    ),
    ("limit, => ? 1, limit limit = = , name = -1", "const extern \"C\" fn f(a: u8, ...);"),
    (
        r#"flavor = "current_thread", worker_threads = 2, grace = "1s", linger = LONG"#,
        "async fn main(token: &mut CancellationToken, more: u32) -> impl Termination { 0 }",
    ),
    (
        r#"flavor = "multi_thread", worker_threads = N, start_paused = true, leaks = "allow", allow(no_exit)"#,
        "#[should_panic] #[supervised] #[cfg(x)] async fn works(token: &CancellationToken) -> Result<(), E> { loop {} }",
    ),
    ("start_paused = maybe, leaks = 1", "#[test] pub fn works(self) -> ! { f() }"),
    ("", "#[tokio::main] #[test] pub default async fn main<T>() where T: X {}"),
    ("", "impl<T> Work for T { async fn work(&self) {} }"),
];

const TASKS: &[&str] = &[
    r#""http", |token| serve(listener).with_graceful_shutdown(token.cancelled_owned())"#,
    r#""tick", limit = 4, timeout = "1s", move |mut token: Token, item| -> Result<(), E> { f(item).await? },"#,
    r#""clock", allow(no_exit), |token| -> R { loop { _ = token; tokio::spawn(x); } }"#,
    r#""a" async move |_| {}, limit = 4"#,
    r#""", || {}"#,
];

/// Every prefix of a run of tokens, also within its groups, whose ends are then missing no brace.
fn prefixes(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut prefixes = vec![TokenStream::new()];
    for (at, token) in tokens.iter().enumerate() {
        let before = || tokens[..at].iter().cloned();
        if let TokenTree::Group(group) = token {
            for inner in self::prefixes(group.stream()) {
                let cut = TokenTree::from(Group::new(group.delimiter(), inner));
                prefixes.push(before().chain([cut]).collect());
            }
        }
        prefixes.push(before().chain([token.clone()]).collect());
    }
    prefixes
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the text of a test is made of tokens")
}

/// Whether a run of tokens names something, at any depth.
fn names(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => names(group.stream(), name),
        _ => false,
    })
}

/// Whether a run of tokens can be written out and read again: one that ends in half a lifetime cannot.
fn is_readable(tokens: &TokenStream) -> bool {
    tokens.to_string().parse::<TokenStream>().is_ok()
}

/// `#[supervised::test]`, with and without the feature that pauses time: the same tokens, but for a refusal.
fn test_entry(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let without = entry::test(arguments.clone(), item.clone(), false);
    let with = entry::test(arguments, item, true);
    assert!(with.is_empty() == without.is_empty());
    with
}

/// The attributes' doors.
const DOORS: [fn(TokenStream, TokenStream) -> TokenStream; 3] =
    [function::expand, entry::main, test_entry];

/// Every door with the same input.
fn through_every_door(arguments: &TokenStream, item: &TokenStream) {
    let of_attributes = DOORS.map(|expand| expand(arguments.clone(), item.clone()));
    let of_calls = [item, arguments].map(|call| task::expand(call.clone()));
    for expanded in of_attributes.into_iter().chain(of_calls) {
        assert!(!expanded.is_empty(), "nothing is made of: {item}");
        if is_readable(arguments) && is_readable(item) {
            assert!(is_readable(&expanded), "unreadable: {expanded}");
        }
    }
}

#[test]
fn every_prefix_of_an_item_expands_to_something() {
    for (arguments, item) in WHOLE {
        let arguments = tokens(arguments);
        for item in prefixes(tokens(item)) {
            through_every_door(&arguments, &item);
        }
    }
}

#[test]
fn every_prefix_of_the_arguments_expands_to_something() {
    for (arguments, item) in WHOLE {
        let item = tokens(item);
        for arguments in prefixes(tokens(arguments)) {
            through_every_door(&arguments, &item);
        }
    }
}

#[test]
fn every_prefix_of_a_task_expands_to_something() {
    for call in TASKS {
        for call in prefixes(tokens(call)) {
            through_every_door(&call, &call);
        }
    }
}

#[test]
fn a_function_keeps_its_name_and_parameters_however_little_of_it_is_typed() {
    for (arguments, item) in WHOLE {
        for item in prefixes(tokens(item)) {
            let expanded = words(function::expand(tokens(arguments), item.clone()));
            for word in words(item.clone()) {
                let of_main = expanded.contains("main") && TAKEN_OFF_MAIN.contains(&word.as_str());
                let may_go = of_main || TAKEN_OFF.contains(&word.as_str());
                assert!(may_go || expanded.contains(&word), "`{word}` is lost from: {item}");
            }
        }
    }
}

/// What a supervised function is without, or is refused for.
const TAKEN_OFF: [&str; 5] = ["async", "const", "extern", "test", "tokio"];

/// What else a `main` is without, which is refused and stays as a plain entry.
const TAKEN_OFF_MAIN: [&str; 2] = ["default", "pub"];

/// All the words of a run of tokens, at any depth.
fn words(tokens: TokenStream) -> BTreeSet<String> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(word) => BTreeSet::from([word.to_string()]),
            TokenTree::Group(group) => words(group.stream()),
            _ => BTreeSet::new(),
        })
        .collect()
}

#[test]
fn a_call_of_a_function_that_is_being_typed_finds_its_parameters_in_their_places() {
    for (arguments, item) in WHOLE {
        for item in prefixes(tokens(item)) {
            let Ok(before) = syn::parse2::<syn::ItemFn>(item.clone()) else { continue };
            if before.sig.ident == "main" {
                continue;
            }
            let expanded = function::expand(tokens(arguments), item.clone());
            let after: syn::ItemImpl = syn::parse2(quote!(impl Typed { #expanded }))
                .unwrap_or_else(|error| panic!("{error}: {expanded}"));
            let Some(syn::ImplItem::Fn(after)) = after.items.first() else {
                panic!("no function is made of: {item}");
            };
            let (before, after) = (parameters(&before.sig), parameters(&after.sig));
            // The token is the one that may be new, and whose type may be another.
            let is_token = |parameter: &String| parameter.contains("AsToken");
            let kept: Vec<_> = after.iter().filter(|parameter| !is_token(parameter)).collect();
            let is_kept = |skipped: Option<usize>| {
                let rest = before.iter().enumerate().filter(|(at, _)| Some(*at) != skipped);
                rest.map(|(_, parameter)| parameter).eq(kept.iter().copied())
            };
            assert!(
                is_kept(None) || (0..before.len()).any(|at| is_kept(Some(at))),
                "of {before:?} only {after:?} is left"
            );
            assert!(after.len() >= before.len(), "of {before:?} only {after:?} is left");
        }
    }
}

/// Each parameter as a caller sees it: its type, or `self` in all its forms.
fn parameters(signature: &syn::Signature) -> Vec<String> {
    let seen = |input: &syn::FnArg| match input {
        syn::FnArg::Receiver(receiver) => receiver.to_token_stream().to_string(),
        syn::FnArg::Typed(parameter) => parameter.ty.to_token_stream().to_string(),
    };
    signature.inputs.iter().map(seen).collect()
}

#[test]
fn a_body_that_does_not_parse_stays_for_the_compiler_to_judge() {
    let item = tokens("async fn work() -> Result<(), E> { let half_typed = client. ; }");
    let expanded = function::expand(TokenStream::new(), item);
    assert!(names(expanded.clone(), "half_typed"));
    assert!(!names(expanded, "compile_error"));
}

#[test]
fn a_token_of_a_type_in_parentheses_keeps_them() {
    let item = tokens("async fn main(read: &(dyn Read + Unpin)) {}");
    for expanded in [
        function::expand(
            tokens("token = read"),
            tokens("async fn f(read: &mut &(dyn Read + Unpin)) {}"),
        ),
        entry::main(TokenStream::new(), item.clone()),
        test_entry(TokenStream::new(), item),
    ] {
        assert!(expanded.to_string().contains("& (dyn Read + Unpin)"), "they are lost: {expanded}");
    }
}

/// A small generator with a fixed seed (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("smaller than `sides`")
    }

    fn soup(&mut self, depth: usize) -> TokenStream {
        (0..self.roll(9)).map(|_| self.token(depth)).collect()
    }

    fn token(&mut self, depth: usize) -> TokenTree {
        const WORDS: &[&str] = &[
            "async",
            "fn",
            "pub",
            "const",
            "unsafe",
            "extern",
            "self",
            "mut",
            "where",
            "impl",
            "dyn",
            "for",
            "move",
            "work",
            "main",
            "loop",
            "while",
            "true",
            "break",
            "return",
            "await",
            "spawn",
            "allow",
            "no_exit",
            "token",
            "limit",
            "name",
            "grace",
            "timeout",
            "restart",
            "backoff",
            "max_restarts",
            "crate",
            "on_full",
            "CancellationToken",
            "Result",
            "_",
            "tokio",
            "test",
            "start_paused",
            "leaks",
            "flavor",
        ];
        const MARKS: &[u8] = b"=,.:;<>&|!?#-'+*@$";
        const DELIMITERS: [Delimiter; 4] =
            [Delimiter::Parenthesis, Delimiter::Brace, Delimiter::Bracket, Delimiter::None];
        match self.roll(if depth == 0 { 9 } else { 12 }) {
            0..4 => Ident::new(WORDS[self.roll(WORDS.len())], Span::call_site()).into(),
            4..7 => {
                let spacing = [Spacing::Alone, Spacing::Joint][self.roll(2)];
                Punct::new(char::from(MARKS[self.roll(MARKS.len())]), spacing).into()
            }
            7 => Literal::string(
                ["", "10s", "wait", "none", "a::b", "\u{1f980}", "always", "1s..", "1/"]
                    [self.roll(9)],
            )
            .into(),
            8 => Literal::usize_unsuffixed(self.roll(3)).into(),
            _ => Group::new(DELIMITERS[self.roll(4)], self.soup(depth - 1)).into(),
        }
    }
}

#[test]
fn what_nests_too_deeply_to_be_parsed_is_refused() {
    let deep = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(1_000), close.repeat(1_000))
    };
    let types = [
        deep("Vec<", "u8", ">"),
        deep("(", "u8", ")"),
        deep("Pair<u8, ", "u8", ">"),
        deep("[", "u8", "; 2]"),
        deep("&", "u8", ""),
    ];
    for ty in types {
        let item = tokens(&format!("async fn work(value: {ty}) -> Result<(), E> {{ Ok(()) }}"));
        refused(&TokenStream::new(), &item);
    }
    let item = tokens("async fn work() -> Result<(), E> { Ok(()) }");
    for value in [deep("(", "1", ")"), deep("!", "1", ""), deep("1 + ", "1", "")] {
        refused(&tokens(&format!("limit = {value}")), &item);
    }
    let call = format!("\"deep\", |token| {}", deep("(", "token", ")"));
    let Some(TokenTree::Group(block)) = task::expand(tokens(&call)).into_iter().next() else {
        panic!("`task!` gives a block");
    };
    assert!(says_so(block.stream()));

    /// By every attribute.
    fn refused(arguments: &TokenStream, item: &TokenStream) {
        for expand in DOORS {
            assert!(says_so(expand(arguments.clone(), item.clone())));
        }
    }

    /// Looks at the outermost tokens alone: to write such tokens down recurses, too.
    fn says_so(expanded: TokenStream) -> bool {
        expanded.into_iter().any(|token| match token {
            TokenTree::Group(group) => {
                let first = group.stream().into_iter().next();
                first.is_some_and(|first| match first {
                    TokenTree::Literal(text) => text.to_string().contains("nests too deeply"),
                    _ => false,
                })
            }
            _ => false,
        })
    }
}

#[test]
fn what_people_write_does_not_nest_too_deeply() {
    let nested = "Arc<Mutex<HashMap<(String, Vec<Option<u8>>), Box<dyn Fn(&[Result<u8, Vec<u8>>]) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, Box<dyn Error>>>>>>>>>";
    let item = tokens(&format!("async fn work(value: {nested}) -> Result<(), E> {{ Ok(()) }}"));
    let expanded = function::expand(tokens("limit = (1 + 2) * (3 - (4 / 5))"), item);
    assert!(!expanded.to_string().contains("compile_error"));
}

#[test]
fn token_soup_expands_to_something() {
    let mut dice = Dice(0x5eed_5eed_5eed_5eed);
    for _ in 0..20_000 {
        let (arguments, item) = (dice.soup(3), dice.soup(3));
        for expand in DOORS {
            _ = expand(arguments.clone(), item.clone());
        }
        _ = task::expand(item);
    }
}

#[test]
fn a_whole_item_with_one_token_changed_expands_to_something() {
    let mut dice = Dice(0x0dd_5eed);
    for (arguments, item) in WHOLE {
        let (arguments, item) = (tokens(arguments), tokens(item));
        for _ in 0..1_000 {
            let (arguments, item) = (mutated(&mut dice, &arguments), mutated(&mut dice, &item));
            for expand in DOORS {
                _ = expand(arguments.clone(), item.clone());
            }
        }
    }
}

fn mutated(dice: &mut Dice, tokens: &TokenStream) -> TokenStream {
    let mut tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    if tokens.is_empty() {
        return TokenStream::new();
    }
    let at = dice.roll(tokens.len());
    match (dice.roll(4), &tokens[at]) {
        (0, _) => _ = tokens.remove(at),
        (1, _) => tokens.insert(at, dice.token(2)),
        (2, TokenTree::Group(group)) => {
            let inner = mutated(dice, &group.stream());
            tokens[at] = Group::new(group.delimiter(), inner).into();
        }
        _ => tokens[at] = dice.token(2),
    }
    tokens.into_iter().collect()
}
