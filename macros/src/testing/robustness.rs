//! Odd input: half-typed code and random tokens. The macros always return tokens.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use quote::{ToTokens, quote};

use crate::{expand, testing::refusals::tokens};

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
        r#"token = stop, log = "off", lines = false, grace = "none", on_cancel = "cooperate", limit = MOST + 1"#,
        "async fn watch(self: Arc<Self>, stop: &Stop, _: u32) -> ! { loop {} }",
    ),
    (
        r#"restart = "on-failure", backoff = "100ms..30s", max_restarts = "5/1m", every = LONG * 2"#,
        "async fn watch(mut self: Box<Self>, (a, _): (u8, &'a mut T), #[cfg(x)] mut b: impl Fn()) { self.a }",
    ),
    (
        r#"restart = "always", restart_if = <E as F<T>>::g::<T>, backoff = LOW..HIGH, max_restarts = "0/0s""#,
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
        r#"flavor = "current_thread", worker_threads = 2, grace = "1s", linger = LONG, warn_blocked = "off""#,
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
    let without = expand::test(arguments.clone(), item.clone(), false);
    let with = expand::test(arguments, item, true);
    assert!(with.is_empty() == without.is_empty());
    with
}

/// The attributes' doors.
const ATTRIBUTES: [fn(TokenStream, TokenStream) -> TokenStream; 3] =
    [expand::supervised, expand::main, test_entry];

/// Every door with the same input.
fn expand_with_every_macro(arguments: &TokenStream, item: &TokenStream) {
    let of_attributes = ATTRIBUTES.map(|expand| expand(arguments.clone(), item.clone()));
    let of_calls = [item, arguments].map(|call| expand::task(call.clone()));
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
            expand_with_every_macro(&arguments, &item);
        }
    }
}

#[test]
fn every_prefix_of_the_arguments_expands_to_something() {
    for (arguments, item) in WHOLE {
        let item = tokens(item);
        for arguments in prefixes(tokens(arguments)) {
            expand_with_every_macro(&arguments, &item);
        }
    }
}

#[test]
fn every_prefix_of_a_task_expands_to_something() {
    for call in TASKS {
        for call in prefixes(tokens(call)) {
            expand_with_every_macro(&call, &call);
        }
    }
}

#[test]
fn a_half_typed_function_keeps_its_words() {
    for (arguments, item) in WHOLE {
        for item in prefixes(tokens(item)) {
            let expanded = words(expand::supervised(tokens(arguments), item.clone()));
            for word in words(item.clone()) {
                let of_main = expanded.contains("main") && TAKEN_OFF_MAIN.contains(&word.as_str());
                let may_go = of_main || TAKEN_OFF.contains(&word.as_str());
                assert!(may_go || expanded.contains(&word), "`{word}` is lost from: {item}");
            }
        }
    }
}

/// Features that a supervised function lacks, or is refused for.
const TAKEN_OFF: [&str; 6] = ["async", "const", "extern", "supervised", "test", "tokio"];

/// Features that only a `main` lacks: it is refused for them and stays a plain entry.
const TAKEN_OFF_MAIN: [&str; 2] = ["default", "pub"];

/// All words of a run of tokens, at any depth.
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
fn a_half_typed_function_keeps_its_parameters_in_order() {
    for (arguments, item) in WHOLE {
        for item in prefixes(tokens(item)) {
            let Ok(before) = syn::parse2::<syn::ItemFn>(item.clone()) else { continue };
            if before.sig.ident == "main" {
                continue;
            }
            let expanded = expand::supervised(tokens(arguments), item.clone());
            let after: syn::ItemImpl = syn::parse2(quote!(impl Typed { #expanded }))
                .unwrap_or_else(|error| panic!("{error}: {expanded}"));
            let Some(syn::ImplItem::Fn(after)) = after.items.first() else {
                panic!("no function is made of: {item}");
            };
            let (before, after) = (parameters(&before.sig), parameters(&after.sig));
            // The token may be a new parameter, and its type may differ.
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
fn a_body_that_does_not_parse_is_left_to_the_compiler() {
    let item = tokens("async fn work() -> Result<(), E> { let half_typed = client. ; }");
    let expanded = expand::supervised(TokenStream::new(), item);
    assert!(names(expanded.clone(), "half_typed"));
    assert!(!names(expanded, "compile_error"));
}

#[test]
fn a_token_of_a_type_in_parentheses_keeps_them() {
    let item = tokens("async fn main(read: &(dyn Read + Unpin)) {}");
    for expanded in [
        expand::supervised(
            tokens("token = read"),
            tokens("async fn f(read: &mut &(dyn Read + Unpin)) {}"),
        ),
        expand::main(TokenStream::new(), item.clone()),
        test_entry(TokenStream::new(), item),
    ] {
        assert!(expanded.to_string().contains("& (dyn Read + Unpin)"), "they are lost: {expanded}");
    }
}

/// A small generator with a fixed seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("smaller than `sides`")
    }

    fn soup(&mut self, depth: usize) -> TokenStream {
        (0..self.below(9)).map(|_| self.token(depth)).collect()
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
            "restart_if",
            "every",
            "log",
            "lines",
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
        match self.below(if depth == 0 { 9 } else { 12 }) {
            0..4 => Ident::new(WORDS[self.below(WORDS.len())], Span::call_site()).into(),
            4..7 => {
                let spacing = [Spacing::Alone, Spacing::Joint][self.below(2)];
                Punct::new(char::from(MARKS[self.below(MARKS.len())]), spacing).into()
            }
            7 => Literal::string(
                ["", "10s", "wait", "none", "a::b", "\u{1f980}", "always", "1s..", "1/"]
                    [self.below(9)],
            )
            .into(),
            8 => Literal::usize_unsuffixed(self.below(3)).into(),
            _ => Group::new(DELIMITERS[self.below(4)], self.soup(depth - 1)).into(),
        }
    }
}

/// The stack of a thread that asks for none; the compiler has four times as much.
const STACK: usize = 2 << 20;

/// Endless levels: the tokens that open one, the tokens inside all, the tokens that close one.
type Chain = (&'static str, &'static str, &'static str);

const EXPRESSIONS: &[Chain] = &[
    ("!", "1", ""),
    ("&mut ", "1", ""),
    ("", "a", ".b"),
    ("", "a", ".b()"),
    ("", "a", ".0"),
    ("", "a", "()"),
    ("", "a", "[0]"),
    ("", "a", "?"),
    ("", "a", " as u8"),
    ("1 + ", "1", ""),
    ("a = ", "1", ""),
    ("a && ", "b", ""),
    ("..= ", "1", ""),
    ("return ", "1", ""),
    ("|| ", "1", ""),
    ("move |a, b| ", "1", ""),
    ("!&return |a, b| ", "1", ""),
    ("if ", "a", " {}"),
    ("match ", "a", " {}"),
    ("for A {} in ", "a", " {}"),
    ("if a {} else ", "{}", ""),
    ("!match a {} (", "1", ")"),
    ("match a { _ => ", "1", " }"),
    ("|a: [u8; { ", "1", " }]| b"),
    ("f(move |a| async move { ", "1", " })"),
    ("(", "1", ")"),
    ("[", "1", "; 2]"),
    ("{ ", "1", " }"),
    ("a::<u8, ", "u8", ">"),
    ("<", "a", ">::b"),
    // It never closes: that is found out in the depth.
    ("<", "", ""),
];

const TYPES: &[Chain] = &[
    ("&", "u8", ""),
    ("&'a ", "u8", ""),
    ("&mut ", "u8", ""),
    ("*const ", "u8", ""),
    ("(", "u8", ")"),
    ("[", "u8", "; 2]"),
    ("Vec<", "u8", ">"),
    ("Pair<u8, ", "u8", ">"),
    ("fn(u8) -> ", "u8", ""),
    ("Pair<fn() -> u8, ", "u8", ">"),
    ("Box<dyn A<", "u8", ">>"),
    ("impl A<B = ", "u8", ">"),
    ("<", "u8", " as A>::B"),
    ("[u8; ", "1", "]"),
    ("<", "", ""),
];

const PATTERNS: &[Chain] = &[
    ("&", "a", ""),
    ("a @ ", "a", ""),
    ("box ", "a", ""),
    ("(", "a", ")"),
    ("A { a: ", "a", "}"),
    ("A::<", "u8", ">"),
];

const ITEMS: &[Chain] = &[
    ("fn f() { ", "", " }"),
    ("mod a { ", "", " }"),
    ("impl A { fn f() { ", "", " } }"),
    ("trait A { type B = [u8; { ", "1", " }]; }"),
    ("const A: u8 = { ", "1", " };"),
    ("struct A([u8; { ", "1", " }]);"),
    ("fn f() where [u8; { ", "1", " }]: A {}"),
    ("extern { fn f(a: [u8; { ", "1", " }]); }"),
];

/// Each chain, of so many levels that the guard is for it or against it; the last are too many for any.
fn chains(of: &[Chain]) -> impl Iterator<Item = (usize, String)> {
    const LEVELS: [usize; 7] = [20, 35, 60, 110, 190, 370, 3_000];
    of.iter().flat_map(|(open, inner, close)| {
        LEVELS.map(|levels| {
            (levels, format!("{}{inner}{}", open.repeat(levels), close.repeat(levels)))
        })
    })
}

/// On a stack that is no larger than it may be; one that overflows ends the process.
fn on_a_small_stack(work: fn()) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
    thread
        .expect("a thread can be spawned")
        .join()
        .expect("the deepest accepted tokens fit the stack");
}

/// Checks the outermost tokens alone: to print such tokens recurses, too.
fn says_that_it_is_too_deep(expanded: TokenStream) -> bool {
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

/// Checks that every attribute refuses input that is too deep.
fn refused_by_each(levels: usize, arguments: &str, item: &str) {
    for expand in ATTRIBUTES {
        let expanded = expand(tokens(arguments), tokens(item));
        assert!(levels < 3_000 || says_that_it_is_too_deep(expanded), "not refused: {item}");
    }
}

/// The closure is parsed as a whole.
fn refused_by_task(levels: usize, closure: &str) {
    let mut expanded = expand::task(tokens(&format!("\"deep\", {closure}"))).into_iter();
    let Some(TokenTree::Group(block)) = expanded.next() else { panic!("`task!` gives a block") };
    let is_refused = says_that_it_is_too_deep(block.stream());
    assert!(levels < 3_000 || is_refused, "not refused: {closure}");
}

#[test]
fn expressions_that_nest_too_deeply_to_be_parsed_are_refused() {
    on_a_small_stack(|| {
        for (levels, deep) in chains(EXPRESSIONS) {
            refused_by_each(levels, &format!("limit = {deep}"), "async fn work() {}");
            refused_by_each(levels, "", &format!("#[doc = {deep}] async fn work() {{}}"));
            refused_by_each(levels, "", &format!("async fn work(a: [u8; {deep}]) {{}}"));
            refused_by_task(levels, &format!("|token| {deep}"));
        }
    });
}

#[test]
fn types_that_nest_too_deeply_to_be_parsed_are_refused() {
    on_a_small_stack(|| {
        for (levels, deep) in chains(TYPES) {
            refused_by_each(levels, "", &format!("async fn work() -> {deep} {{}}"));
            refused_by_each(
                levels,
                "restart = \"always\"",
                &format!("async fn work(a: {deep}, b: u8) {{}}"),
            );
            refused_by_each(levels, "", &format!("async fn work<A: Fn() -> {deep}>() {{}}"));
            refused_by_task(levels, &format!("|token| -> {deep} {{}}"));
        }
    });
}

#[test]
fn patterns_that_nest_too_deeply_to_be_parsed_are_refused() {
    on_a_small_stack(|| {
        for (levels, deep) in chains(PATTERNS) {
            refused_by_each(levels, "", &format!("async fn work({deep}: u8) {{}}"));
            refused_by_task(levels, &format!("|{deep}| token"));
        }
    });
}

#[test]
fn a_body_that_nests_too_deeply_to_be_parsed_is_not_checked() {
    on_a_small_stack(|| {
        let within = |statement: String| {
            let item = format!("async fn work() {{ loop {{ {statement} }} }}");
            for expand in ATTRIBUTES {
                assert!(!expand(TokenStream::new(), tokens(&item)).is_empty());
            }
        };
        for (_, deep) in chains(EXPRESSIONS) {
            within(format!("let x = {deep};"));
            within(deep);
        }
        for (_, deep) in chains(TYPES) {
            within(format!("let x: {deep} = 1;"));
            within(format!("1 as {deep}"));
            within(format!("struct X(pub {deep});"));
        }
        for (_, deep) in chains(PATTERNS) {
            within(format!("let {deep} = 1;"));
        }
        for (_, deep) in chains(ITEMS) {
            within(deep);
        }
        within(format!("use {}a;", "a::".repeat(3_000)));
    });
}

#[test]
fn a_body_whose_groups_nest_too_deeply_to_be_walked_is_refused() {
    on_a_small_stack(|| {
        for (open, close) in [("(", ")"), ("{", "}"), ("m!(", ")")] {
            let deep = format!("{}{}", open.repeat(3_000), close.repeat(3_000));
            refused_by_each(3_000, "", &format!("async fn work() {{ loop {{ {deep} }} }}"));
        }
    });
}

#[test]
fn a_crate_path_that_nests_in_its_text_is_refused_unread() {
    on_a_small_stack(|| {
        let deep = format!("crate = \"{}{}\"", "(".repeat(20_000), ")".repeat(20_000));
        for expand in ATTRIBUTES {
            let expanded = expand(tokens(&deep), tokens("async fn main() {}")).to_string();
            assert!(expanded.contains("`crate` takes a path"));
        }
    });
}

#[test]
fn ordinary_code_does_not_nest_too_deeply() {
    let nested = "Arc<Mutex<HashMap<(String, Vec<Option<u8>>), Box<dyn Fn(&[Result<u8, Vec<u8>>]) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, Box<dyn Error>>>>>>>>>";
    let documented = "/// A line.\n".repeat(1_000);
    let item = format!("{documented} async fn work(value: {nested}) -> Result<(), E> {{ Ok(()) }}");
    let expanded = expand::supervised(tokens("limit = (1 + 2) * (3 - (4 / 5))"), tokens(&item));
    assert!(!expanded.to_string().contains("compile_error"));
    let routes = ".route(\"/a\", get(|| async { a.b::<C>(&d)? }))".repeat(100);
    let arms =
        "Some(A::B(a) | A::C(a)) if a < 10 && b > 2 => f::<T>(&a, |b, c| b + c),".repeat(500);
    let call = format!("\"a\", |_| serve(Router::new(){routes}, match a {{ {arms} _ => 1 }})");
    assert!(!expand::task(tokens(&call)).to_string().contains("compile_error"));
}

#[test]
fn token_soup_expands_to_something() {
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    for _ in 0..20_000 {
        let (arguments, item) = (random.soup(3), random.soup(3));
        for expand in ATTRIBUTES {
            _ = expand(arguments.clone(), item.clone());
        }
        _ = expand::task(item);
    }
}

#[test]
fn a_whole_item_with_one_token_changed_expands_to_something() {
    let mut random = Random(0x0dd_5eed);
    for (arguments, item) in WHOLE {
        let (arguments, item) = (tokens(arguments), tokens(item));
        for _ in 0..1_000 {
            let (arguments, item) = (mutated(&mut random, &arguments), mutated(&mut random, &item));
            for expand in ATTRIBUTES {
                _ = expand(arguments.clone(), item.clone());
            }
        }
    }
}

fn mutated(random: &mut Random, tokens: &TokenStream) -> TokenStream {
    let mut tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    if tokens.is_empty() {
        return TokenStream::new();
    }
    let at = random.below(tokens.len());
    match (random.below(4), &tokens[at]) {
        (0, _) => _ = tokens.remove(at),
        (1, _) => tokens.insert(at, random.token(2)),
        (2, TokenTree::Group(group)) => {
            let inner = mutated(random, &group.stream());
            tokens[at] = Group::new(group.delimiter(), inner).into();
        }
        _ => tokens[at] = random.token(2),
    }
    tokens.into_iter().collect()
}
