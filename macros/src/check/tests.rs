//! Bodies that are refused, and above all bodies that are not.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Pat, parse::Parser};

use super::{
    body as check, mentions_checked_name,
    token::{Owner, TokenParameter},
};
use crate::{
    args::{allow, list::Arguments},
    diagnostics::Diagnostics,
    testing::refusals::{fragment, refusals as texts_of, tokens},
};

/// The refusals of a body, by a word of each message.
fn refusals(allowed: &str, token: Option<&str>, body: &str) -> Vec<&'static str> {
    const WORDS: [(&str, &str); 7] = [
        ("does not end this `.await`", "handed on"),
        ("never checks its cancellation token", "token"),
        ("never awaits or exits", "exit"),
        ("this task is detached", "spawn"),
        ("unless it is awaited in place", "blocking"),
        ("worker thread and cannot be cancelled", "sleep"),
        ("the future may need", "block_on"),
    ];
    let mut diagnostics = Diagnostics::default();
    let tokens = allowed.parse().expect("the arguments are tokens");
    let mut given = Arguments::parse(tokens, &[allow::ALLOW], &mut diagnostics);
    let allow = allow::Allow::take(&mut given, &mut diagnostics);
    let tokens: TokenStream = format!("{{ {body} }}").parse().expect("the body is tokens");
    let Some(TokenTree::Group(body)) = tokens.into_iter().next() else {
        panic!("the body is a block")
    };
    let pattern = token.map(|name| Pat::parse_single.parse_str(name).expect("a pattern"));
    let token = pattern.as_ref().map(|pattern| TokenParameter {
        pattern,
        owner: Owner::Function,
        is_decided: false,
    });
    _ = check(&body, token, &allow, &mut diagnostics);
    let refused = diagnostics.into_tokens().to_string();
    WORDS.iter().flat_map(|(words, short)| refused.matches(words).map(move |_| *short)).collect()
}

fn refuses(body: &str, expected: &[&str]) {
    assert_eq!(refusals("", None, body), expected, "{body}");
}

fn uses_token(body: &str, used: bool) {
    let expected: &[&str] = if used { &[] } else { &["token"] };
    assert_eq!(refusals("", Some("token"), body), expected, "{body}");
}

#[test]
fn a_loop_without_an_exit_is_refused() {
    for body in [
        "loop {}",
        "while true { work(); }",
        "while (true) {}",
        "loop { for x in y { break; } }",
        "loop { while more() { break } }",
        "'a: loop { 'b: loop { break 'b; } continue 'a; }",
        "loop { 'b: { break 'b; } }",
        "loop { 'a: for x in y { continue 'a; } }",
        "loop { queue.push(async { work().await; }); }",
        "loop { items.retain(|item| { return item.is_new(); }); }",
        "loop { fn helper() -> Option<u32> { None?; return None } }",
        "loop { channel.recv().unwrap(); }",
        "if started { match way { Way::Round => loop { count += 1 }, _ => {} } }",
        "async { loop { count += 1 } }.await",
    ] {
        refuses(body, &["exit"]);
    }
}

#[test]
fn a_loop_with_an_exit_is_accepted() {
    for body in [
        "loop { work().await }",
        "loop { if done() { break } }",
        "loop { if done() { return Ok(()) } }",
        "loop { work()? }",
        "loop { match next() { Some(x) => use_it(x), None => break } }",
        "'a: loop { loop { break 'a; } }",
        "'a: loop { loop { if x { continue 'a; } } work().await }",
        "'a: { loop { break 'a } }",
        "let first = loop { break 1 };",
        "loop { tokio::select! { _ = a => {} } }",
        "loop { panic!(\"no\") }",
        "loop { if done() { std::process::exit(1) } }",
        "loop { for x in y { work(x).await } }",
        "loop { let x = { work().await }; }",
        "while running() { count += 1 }",
        "while let Some(x) = next() {}",
        "for x in std::iter::repeat(1) {}",
        "let work = || loop {};",
        "fn helper() -> ! { loop {} }",
        "impl Work for Other { fn work() { loop {} } }",
        "spin!(loop {});",
        "loop { if a() { break } if b() { break } }",
        "'a: loop { loop { if b { continue 'a } if c { continue 'a } } d.await }",
        "loop { if failed() { abort() } if done() { std::process::exit(0) } }",
        "loop { while more() { work().await } }",
        "loop { yield next() }",
        "loop { if a() { become b() } become c() }",
        "loop { for x in y {} loop { break } while z() {} break }",
    ] {
        refuses(body, &[]);
    }
}

#[test]
fn the_dead_edge_of_an_attribute_above_is_no_loop() {
    // `#[tracing::instrument]` puts this in front of a body, for its return type.
    let edge = "if false { let __tracing_attr_fake_return: R = loop {}; return __tracing_attr_fake_return; }";
    refuses(edge, &[]);
    refuses(&format!("{edge} {{ loop {{}} }}"), &["exit"]);
    refuses("if false {} else { loop {} }", &["exit"]);
}

#[test]
fn only_the_innermost_endless_loop_is_refused() {
    refuses("loop { loop {} }", &["exit"]);
    refuses("loop { loop {} while true {} }", &["exit", "exit"]);
}

#[test]
fn a_detached_task_is_refused() {
    for body in [
        "tokio::spawn(work());",
        "::tokio::spawn(work()).await?;",
        "tokio::spawn::<Work>(work);",
        "tokio::task::spawn(work());",
        "task::spawn(work());",
        "let handle = tokio::task::spawn_local(work());",
        "task::spawn_local(async { work().await });",
        "futures.into_iter().map(tokio::spawn).collect()",
        "Handle::current().spawn(work());",
        "tokio::runtime::Handle::current().spawn(work());",
        "Handle::spawn(&handle, work());",
        "async { tokio::spawn(work()) }.await",
        "if more { vec![tokio::spawn(a)]; handles.push(tokio::spawn(work())); }",
    ] {
        refuses(body, &["spawn"]);
    }
}

#[test]
fn blocking_work_is_refused_unless_it_is_awaited_in_place() {
    for body in [
        "task::spawn_blocking(work);",
        "let handle = tokio::task::spawn_blocking(work); handle.await?",
        "handles.push(tokio::task::spawn_blocking(work));",
        "Handle::current().spawn_blocking(work);",
        "runtime::Handle::spawn_blocking(&handle, work);",
        "async { tokio::task::spawn_blocking(work); }.await",
        "{ tokio::task::spawn_blocking(a); b }.await",
        "async { tokio::task::spawn_blocking(work) }.await",
        "{ tokio::task::spawn_blocking(work); }.await",
        "{ unsafe { tokio::task::spawn_blocking(a) } b }.await",
    ] {
        refuses(body, &["blocking"]);
    }
    for body in [
        "tokio::task::spawn_blocking(work).await",
        "task::spawn_blocking(move || read(path)).await??",
        "timeout(LONG, tokio::task::spawn_blocking(work)).await",
        "let (a, b) = join(task::spawn_blocking(a), task::spawn_blocking(b)).await;",
        "match tokio::task::spawn_blocking(work).await { Ok(_) => {} Err(_) => {} }",
        "(if fast { task::spawn_blocking(a) } else { task::spawn_blocking(b) }).await",
        "Handle::current().spawn_blocking(work).await",
        "Handle::spawn_blocking(&handle, work).await",
        "tokio::join!(tokio::task::spawn_blocking(work))",
    ] {
        refuses(body, &[]);
    }
}

#[test]
fn a_call_that_blocks_the_worker_is_refused() {
    refuses("std::thread::sleep(LONG);", &["sleep"]);
    refuses("::std::thread::sleep(LONG);", &["sleep"]);
    refuses("thread::sleep(LONG);", &["sleep"]);
    refuses("LONG.pipe(thread::sleep)", &["sleep"]);
    refuses("futures::executor::block_on(work());", &["block_on"]);
    refuses("Handle::current().block_on(work());", &["block_on"]);
    refuses("self.runtime.block_on(async { 1 });", &["block_on"]);
    refuses("pollster::block_on(async { tokio::spawn(work()); });", &["spawn", "block_on"]);
}

#[test]
fn code_of_unknown_meaning_is_not_refused() {
    for body in [
        "spawn(work()); spawn_local(work()); spawn_blocking(work); sleep(LONG); block_on(work());",
        "group.spawn(|token| work(token)).await; self.pool.spawn(work); set.spawn(work());",
        "handle.spawn(work()); runtime.spawn(work());",
        "crate::task::spawn(work()); self::task::spawn(work()); my::tokio::spawn(work());",
        "std::thread::spawn(work); rayon::spawn(work); std::process::Command::spawn(&mut command);",
        "tokio::time::sleep(LONG).await; my::thread::sleep(LONG);",
        "Self::block_on(x); crate::rt::block_on(x); self.block_on(a, b);",
        "Handle::spawn(config); Handle::spawn_blocking(config);",
        "<Handle as Spawn>::spawn(a, b);",
        "let later = || { tokio::spawn(work()); thread::sleep(LONG); };",
        "tokio::task::spawn_blocking(move || Handle::current().block_on(work())).await",
        "fn helper() { tokio::spawn(work()); } mod inner { fn f() { std::thread::sleep(LONG) } }",
        "anything!(tokio::spawn(work()));",
        "let tokio = spawn; tokio.spawn(work());",
    ] {
        refuses(body, &[]);
    }
}

#[test]
fn an_unused_token_is_refused() {
    for body in [
        "",
        "work().await",
        "let _ = token;",
        "let _ = &token; _ = token;",
        "self.token.cancelled().await",
        "let tokens = 1;",
        "let text = \"token\";",
    ] {
        uses_token(body, false);
    }
    assert_eq!(refusals("", Some("_token"), "work().await"), ["token"]);
    assert_eq!(refusals("", Some("mut token"), "work().await"), ["token"]);
    assert_eq!(refusals("", Some("_"), "work().await"), ["token"]);
}

#[test]
fn any_use_of_the_token_is_a_use() {
    for body in [
        "token.cancelled().await",
        "work(&token).await",
        "let _ = token.is_cancelled();",
        "let _ = (token, 1);",
        "let _guard = token;",
        "let token = token.child_token();",
        "tokio::select! { () = token.cancelled() => {} }",
        "let stop = move || token.cancel();",
        "info!(\"{token:?}\")",
        "Work { token }.run().await",
        "for _ in 0..token {}",
        "r#token.cancelled().await",
        "async move { let stop = &token; }.await",
    ] {
        uses_token(body, true);
    }
    assert_eq!(refusals("", Some("r#token"), "token.cancelled().await"), [""; 0]);
}

#[test]
fn a_token_that_is_only_handed_on_does_not_end_another_await() {
    for body in [
        "step(token).await?; sleep(LONG).await",
        "sleep(LONG).await; step(&token).await",
        "loop { self.step(token.clone(), 1).await?; self.rest.lock().await.clear(); }",
        "step((token)).timeout(LONG).await?; other().await",
        "while let Some(job) = jobs.recv().await { work(token, job).await?; }",
        "async move { step(token).await?; other().await }.await",
        "step(token, other().await).await",
    ] {
        assert_eq!(refusals("", Some("token"), body), ["handed on"], "{body}");
    }
    assert_eq!(refusals("", Some("mut stop"), "step(&stop).await; f().await"), ["handed on"]);
}

#[test]
fn a_token_that_is_checked_or_given_to_every_await_is_accepted() {
    for body in [
        "step(token).await",
        "step(token).await?; self.step(&token, 1).await?; Ok(())",
        "while !token.is_cancelled() { step(token).await?; rest().await; }",
        "step(token).await?; token.run_until_cancelled(rest()).await",
        "let group = Group::new(&token); rest().await; group.join().await",
        "map(&token, items, work).await?; rest().await",
        "tokio_supervised::within(token, LONG, work).await?; rest().await",
        "Services::new(&token).service(\"a\", a).run().await?; rest().await",
        "tokio::select! { () = step(&token) => {} } rest().await",
        "let step = step(&token); rest().await; step.await",
        "let child = token.child_token(); step(child).await; rest().await",
        "let stop = || step(token); rest().await",
        "let (a, b) = join(step(&token), rest()).await; rest().await",
        "let work = Work { token }; work.run().await",
        "async move { step(token).await }.instrument(span).await",
        "let future = async move { step(token).await }; future.await",
        "let __tracing_future = async move { step(token).await }; Instrument::instrument(__tracing_future, s).await",
    ] {
        assert_eq!(refusals("", Some("token"), body), [""; 0], "{body}");
    }
}

#[test]
fn each_check_can_be_waived_and_waives_nothing_else() {
    let body = "
        tokio::spawn(a); task::spawn_blocking(b); thread::sleep(c); x::block_on(d);
        loop {}
    ";
    let all = ["token", "exit", "spawn", "blocking", "sleep", "block_on"];
    assert_eq!(refusals("", Some("token"), body), all);
    for (name, waived) in [
        ("unused_token", &["token"][..]),
        ("no_exit", &["exit"]),
        ("detached_spawn", &["spawn", "blocking"]),
        ("blocking_sleep", &["sleep"]),
        ("block_on", &["block_on"]),
    ] {
        let left: Vec<_> = all.into_iter().filter(|refusal| !waived.contains(refusal)).collect();
        assert_eq!(refusals(&format!("allow({name})"), Some("token"), body), left, "{name}");
    }
}

#[test]
fn a_body_that_does_not_parse_is_not_checked() {
    for body in ["loop {} let = ;", "tokio::spawn(work()); client.", "thread::sleep(1 2)"] {
        assert_eq!(refusals("", Some("token"), body), [""; 0], "{body}");
    }
}

#[test]
fn a_token_that_is_bound_by_a_pattern_is_not_checked() {
    for pattern in ["(token)", "&token", "Token { stop }"] {
        assert_eq!(refusals("", Some(pattern), "work().await"), [""; 0], "{pattern}");
    }
}

#[test]
fn inner_attributes_and_fragments_of_macros_are_no_obstacle() {
    refuses("#![allow(unused)] loop {}", &["exit"]);
    let (looped, always) = (fragment("loop {}"), fragment("true"));
    for body in [quote!({ #looped }), quote!({ while #always {} })] {
        let body = syn::parse2(body).expect("the body is a block");
        let mut diagnostics = Diagnostics::default();
        _ = check(&body, None, &allow::Allow::default(), &mut diagnostics);
        assert_eq!(texts_of(diagnostics.into_tokens()).len(), 1);
    }
}

#[test]
fn a_body_without_a_checked_name_is_not_parsed() {
    for (body, is_parsed) in [
        ("work(&token).await?; for x in y { z(x) }", false),
        ("queue.push(async { spawner.run() })", false),
        ("if a { m!(b, { loop {} }) }", true),
        ("group.spawn(a)", true),
    ] {
        assert_eq!(mentions_checked_name(tokens(body)), is_parsed, "{body}");
    }
}

#[test]
fn a_body_that_nests_too_deeply_is_not_checked() {
    let deep = |open: &str, close: &str| {
        format!("loop {{}} let x = {}0{};", open.repeat(600), close.repeat(600))
    };
    for body in [
        deep("(", ")"),
        deep("!", ""),
        deep("", ".a()"),
        deep("", "?"),
        format!("loop {{}} {} {{}}", "if a {} else ".repeat(600)),
        deep("1 + ", ""),
        deep("match a { _ => ", "}"),
        deep("async { ", "}"),
        deep("return ", ""),
    ] {
        refuses(&body, &[]);
    }
}

#[test]
fn the_deepest_checked_body_fits_into_a_small_stack() {
    let deep = |open: &str, close: &str, times: usize| {
        format!("loop {{}} let x = {}0{};", open.repeat(times), close.repeat(times))
    };
    for body in [
        deep("(", ")", 50),
        deep("!", "", 200),
        deep("", ".a()", 180),
        deep("1 + ", "", 180),
        deep("match a { _ => ", "}", 40),
        deep("async { ", "}", 60),
        format!("loop {{}} {} {{}}", "if a {} else ".repeat(50)),
        deep("f(a, ", ")", 50),
        deep("if a { ", "}", 45),
        deep("return ", "", 120),
    ] {
        refuses(&body, &["exit"]);
    }
}

#[test]
fn a_long_body_is_checked_to_its_end() {
    let statement = "if a.b()? == 1 { c(&d) } else { e::<F>() } let x = y.z(|w| w + 1); ";
    refuses(&format!("{} loop {{}}", statement.repeat(500)), &["exit"]);
}
