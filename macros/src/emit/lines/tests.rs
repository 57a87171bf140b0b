use proc_macro2::{Delimiter, Group, TokenStream};
use syn::Signature;

use super::{block, future};

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("it can be tokenized")
}

/// The marked body, with `S;` for a mark before a statement and `at(…)` for one around an operand.
fn marked(body: &str) -> String {
    let krate = syn::parse_quote!(::tokio_supervised);
    let body = Group::new(Delimiter::Brace, tokens(body));
    short(&block(&krate, true, None, &body).body.stream())
}

fn short(tokens: &TokenStream) -> String {
    const STORE: &str = "__supervised_store (TOKIO_SUPERVISED_FILE , :: core :: line ! ()) ;";
    const AT: &str = "__supervised_at (TOKIO_SUPERVISED_FILE , :: core :: line ! () , ";
    self::tokens(&tokens.to_string().replace(STORE, "S;").replace(AT, "at (")).to_string()
}

#[track_caller]
fn becomes(body: &str, expected: &str) {
    assert_eq!(marked(body), tokens(expected).to_string());
}

#[track_caller]
fn stays(body: &str) {
    becomes(body, body);
}

#[test]
fn a_statement_with_one_await_is_marked_before_it() {
    becomes("a().await; b", "S; a().await; b");
    becomes("let x = a.b().await?.c();", "S; let x = a.b().await?.c();");
    becomes("a().await", "S; a().await");
    becomes("if a().await { b() } else { c() } d", "S; if a().await { b() } else { c() } d");
    becomes("for x in a().await { b() } d", "S; for x in a().await { b() } d");
    becomes("match a().await { A => 1, B => 2 } ", "S; match a().await { A => 1, B => 2 }");
}

#[test]
fn each_await_of_several_in_a_statement_is_a_call() {
    becomes("f(a().await, b.await).await;", "at(f(at(a()).await, at(b).await)).await;");
}

#[test]
fn an_await_that_may_not_run_is_a_call() {
    becomes("while a().await { b }", "while at(a()).await { b }");
    becomes("while let Some(x) = a().await { b } c", "while let Some(x) = at(a()).await { b } c");
    becomes("match x { A => a().await, B => 1 };", "match x { A => at(a()).await, B => 1 };");
    becomes(
        "let Some(x) = a().await else { return };",
        "let Some(x) = at(a()).await else { return };",
    );
    becomes("let x = y && a().await;", "let x = y && at(a()).await;");
    becomes("let x = y || a().await;", "let x = y || at(a()).await;");
}

#[test]
fn the_only_statement_of_an_inner_block_is_not_preceded() {
    becomes("loop { a().await; }", "loop { at(a()).await; }");
    becomes("if x { a().await } else { 1 }", "if x { at(a()).await } else { 1 }");
    becomes("let f = async { a().await }; f", "let f = async { at(a()).await }; f");
    becomes("loop { a().await; b(); }", "loop { S; a().await; b(); }");
}

#[test]
fn a_macro_that_waits_is_marked_before_its_statement() {
    becomes("loop { select! { x = a() => b } }", "loop { S; select! { x = a() => b } }");
    becomes("let x = tokio::join!(a, b);", "S; let x = tokio::join!(a, b);");
    becomes("println!(\"{}\", a.await);", "S; println!(\"{}\", a.await);");
    stays("match x { A => select! { x = a() => b }, B => 1 };");
    stays("pool.spawn(task!(\"a\", |token| async move { a.await }));");
}

#[test]
fn code_behind_a_diverging_statement_is_not_preceded() {
    becomes("return 1; a().await;", "return 1; at(a()).await;");
    becomes("panic!(); a().await;", "panic!(); at(a()).await;");
    becomes("loop { b() } a().await;", "loop { b() } at(a()).await;");
}

#[test]
fn a_statement_with_attributes_is_not_preceded() {
    becomes("#[cfg(x)] let x = a().await;", "#[cfg(x)] let x = at(a()).await;");
    becomes("#[allow(x)] a().await;", "#[allow(x)] at(a()).await;");
}

#[test]
fn a_mark_is_not_overwritten_by_a_block_before_its_await() {
    becomes(
        "f(if x { a().await } else { 1 }, b().await);",
        "f(if x { at(a()).await } else { 1 }, at(b()).await);",
    );
    becomes("if a().await { b().await; c } d", "S; if a().await { S; b().await; c } d");
}

#[test]
fn groups_around_an_operand_are_removed() {
    becomes("f((a + b).await, ((c)).await);", "f(at(a + b).await, at(c).await);");
}

#[test]
fn a_block_of_statements_is_an_argument() {
    becomes("f({ a; b }.await, 1).await;", "at(f(at({ a; b }).await, 1)).await;");
}

#[test]
fn a_block_of_one_expression_is_matched() {
    let store = "__supervised_operand => { S; __supervised_operand }";
    becomes(
        "f({ a }.await, 1).await;",
        &format!("at(f(match {{ a }} {{ {store} }}.await, 1)).await;"),
    );
}

#[test]
fn a_statement_that_may_move_a_part_has_no_mark_before_it() {
    becomes("f(a.b).await; c", "at(f(a.b)).await; c");
    becomes("let a = self.b.c().await?; c", "let a = at(self.b.c()).await?; c");
    becomes("f(*a, || b.c).await; c", "at(f(*a, || b.c)).await; c");
    becomes("f(&a.b, &mut a.c, d().e).await; c", "S; f(&a.b, &mut a.c, d().e).await; c");
    becomes("join!(f(a.b)); c", "S; join!(f(a.b)); c");
}

#[test]
fn a_part_that_a_macro_may_move_is_found_in_its_tokens() {
    for moves in ["vec![a.b]", "m!(a.0)", "m!(f(*a))", "format!(\"{}\", f(a.b))"] {
        becomes(&format!("f({moves}).await; c"), &format!("at(f({moves})).await; c"));
    }
    for keeps in [
        "vec![a]",
        "m!(a.b(), f().c)",
        "m!(&a.b, &mut a.c, &*a)",
        "format!(\"{}\", a.b)",
        "m!(a..b)",
    ] {
        becomes(&format!("f({keeps}).await; c"), &format!("S; f({keeps}).await; c"));
    }
}

#[test]
fn a_borrowed_self_has_no_parts_to_move() {
    let krate = syn::parse_quote!(::tokio_supervised);
    let body = Group::new(Delimiter::Brace, tokens("f(self.b).await; c"));
    for (receiver, borrows) in
        [("&self", true), ("&mut self", true), ("self: &Self", true), ("self", false)]
    {
        let signature = syn::parse_str::<Signature>(&format!("fn f({receiver})"));
        let signature = signature.expect("it parses");
        let marked = short(&block(&krate, true, signature.receiver(), &body).body.stream());
        assert_eq!(marked.contains("S ;"), borrows, "{receiver}: {marked}");
    }
}

#[test]
fn bodies_of_closures_and_async_blocks_are_marked() {
    becomes("f(|x| async move { a(x).await; b });", "f(|x| async move { S; a(x).await; b });");
    becomes("f(async |x| a(x).await);", "f(async |x| at(a(x)).await);");
}

#[test]
fn code_that_is_no_part_of_the_body_stays() {
    stays("fn f() { async { a().await; b } } g()");
    stays("const { async { a().await; b } }; g()");
    stays("let x: [u8; { a.await; 1 }] = [0; { b.await; 1 }];");
    stays("a(); b()");
}

#[test]
fn a_body_that_does_not_parse_stays() {
    stays("a().await; let = ;");
    stays("a(.await).await");
}

#[test]
fn a_body_without_lines_stays() {
    let krate = syn::parse_quote!(::tokio_supervised);
    let body = Group::new(Delimiter::Brace, tokens("a().await;"));
    let unmarked = block(&krate, false, None, &body);
    assert_eq!(unmarked.body.to_string(), body.to_string());
    assert!(unmarked.prelude.is_empty());
}

#[test]
fn a_future_is_marked_inside_its_async_blocks() {
    let krate = syn::parse_quote!(::tokio_supervised);
    let body = syn::parse_str("serve(async move { a().await; b }).into()").expect("it parses");
    let expected = tokens("serve(async move { S; a().await; b }).into()");
    assert_eq!(short(&future(&krate, true, &body).body), expected.to_string());
}

#[test]
fn the_prelude_has_only_what_the_marks_use() {
    let krate = syn::parse_quote!(::tokio_supervised);
    let prelude = |body| {
        let body = Group::new(Delimiter::Brace, tokens(body));
        block(&krate, true, None, &body).prelude.to_string()
    };
    let store = prelude("a().await;");
    assert!(store.contains("__private :: store") && !store.contains("__private :: at"), "{store}");
    let at = prelude("loop { a().await }");
    assert!(!at.contains("__private :: store") && at.contains("__private :: at"), "{at}");
}
