//! The input and the output of `#[supervised]`, as far as neither a case of `tests/ui` nor a reviewed expansion shows
//! them.

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::supervised as expand;
use crate::testing::refusals::{fragment, has, refusals, tokens};

fn supervised(arguments: &str, item: &str) -> TokenStream {
    expand(tokens(arguments), tokens(item))
}

fn is_taken(arguments: &str, item: &str) {
    let refused = refusals(supervised(arguments, item));
    assert!(refused.is_empty(), "{item} is refused: {refused:?}");
}

/// Refused once, with a message that starts with `beginning`.
fn is_refused(arguments: &str, item: &str, beginning: &str) {
    let refused = refusals(supervised(arguments, item));
    let is_expected = matches!(&refused[..], [only] if only.starts_with(beginning));
    assert!(is_expected, "{item}, {arguments}: {refused:?}");
}

#[test]
fn a_method_rewritten_by_async_trait_is_refused_once() {
    let item = "
        fn work<'life0, 'async_trait>(&'life0 self)
            -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>>
        where 'life0: 'async_trait, Self: 'async_trait,
        { Box::pin(async move {}) }
    ";
    is_refused("", item, "`#[async_trait]` has already rewritten this function");
    assert!(has(&supervised("", item), item));
    is_refused("", "fn work<'a>(a: &'a u8) {}", "a supervised function must be async");
    is_taken("", "async fn work<'async_trait>(a: &'async_trait u8) {}");
}

#[test]
fn an_attribute_that_only_shares_the_name_of_an_entry_stays() {
    for attribute in ["#[other::main]", "#[main]", "#[tokio::instrumented]"] {
        let item = format!("{attribute} async fn work() {{}}");
        is_taken("", &item);
        assert!(has(&supervised("", &item), attribute), "{attribute} is lost");
    }
}

#[test]
fn a_function_under_test_is_refused_once() {
    is_refused(
        "",
        "#[test] fn works() {}",
        "`#[supervised]` cannot be combined with a test attribute",
    );
}

#[test]
fn an_instrument_below_is_moved_above() {
    for (arguments, item, swapped) in [
        (
            "limit = 16",
            "#[inline] #[tracing::instrument(skip_all)] #[cold] pub async fn work() { f() }",
            "#[tracing::instrument(skip_all)] #[::tokio_supervised::supervised(@ limit = 16)]
             #[inline] #[cold] pub async fn work() { f() }",
        ),
        (
            "",
            "#[instrument] async fn work() {}",
            "#[instrument] #[::tokio_supervised::supervised(@)] async fn work() {}",
        ),
        (
            "crate = \"my::own\"",
            "#[instrument] async fn work() {}",
            "#[instrument] #[my::own::supervised(@ crate = \"my::own\")] async fn work() {}",
        ),
    ] {
        let expanded = supervised(arguments, item);
        assert_eq!(expanded.to_string(), tokens(swapped).to_string());
    }
}

#[test]
fn an_instrument_that_stays_below_is_not_swapped_again() {
    let expanded = supervised("@ limit = 16", "#[instrument] async fn work() {}");
    assert!(refusals(expanded.clone()).is_empty());
    assert!(has(&expanded, "#[instrument]"));
    assert!(has(&expanded, ".limit(16)"));
}

#[test]
fn only_the_compiler_reports_an_unparsable_header() {
    for header in [
        "async fn work(a u32)",
        "pub(crate) async unsafe fn work(a: u32,, b: u32)",
        "#[doc = \"a\"] const async extern \"C\" fn work(&self, &mut)",
        "fn async work()",
    ] {
        let expanded = supervised("", &format!("{header} {{ a }}"));
        assert!(refusals(expanded.clone()).is_empty(), "{header}");
        assert!(has(&expanded, "const { ::core::panic!"), "{header}");
        assert!(has(&expanded, header), "{header}");
    }
    for item in ["struct A { a: fn() }", "const A: fn() = { a };", "impl A for fn() { a }"] {
        assert_eq!(refusals(supervised("", item)).len(), 1, "{item}");
    }
}

#[test]
fn an_unsupported_item_below_instrument_is_refused() {
    is_refused("", "#[instrument] struct Work;", "`#[supervised]` belongs on an `async fn`");
    is_refused("", "#[instrument] async fn work();", "a trait method without a body");
}

#[test]
fn a_body_in_a_fragment_of_a_macro_is_a_body() {
    let (header, body) = (tokens("async fn work() -> Result<(), E>"), fragment("{ loop {} }"));
    let expanded = expand(TokenStream::new(), quote!(#header #body));
    let refused = refusals(expanded.clone());
    assert!(
        matches!(&refused[..], [only] if only.starts_with("this `loop` never awaits")),
        "{refused:?}"
    );
    assert!(has(&expanded, "({ loop {} })"));
    // Parentheses are none.
    is_refused("", "async fn work() ()", "a trait method without a body");
}

#[test]
fn a_parameter_under_cfg_does_not_count() {
    const LOOKED_AT: &str = "{ token.cancelled().await }";
    is_taken("", &format!("async fn work(#[cfg(x)] a: u8, token: CancellationToken) {LOOKED_AT}"));
    is_refused(
        "",
        &format!("async fn work(#[allow(x)] a: u8, token: CancellationToken) {LOOKED_AT}"),
        "the token must be the first parameter",
    );
    is_taken("restart = \"always\"", "async fn work(#[cfg(x)] a: &mut u8) {}");
    is_refused(
        "restart = \"always\"",
        "async fn work(#[allow(x)] a: &mut u8) {}",
        "`restart` cannot take a `&mut`",
    );
}

#[test]
fn a_restarted_function_takes_no_mutable_borrow_in_any_form() {
    for parameter in
        ["&mut self", "self: &mut Self", "self: (&mut Self)", "a: &mut u8", "a: (&mut u8)"]
    {
        let item = format!("async fn work({parameter}) {{}}");
        is_refused("restart = \"always\"", &item, "`restart` cannot take a `&mut`");
        let expanded = supervised("restart = \"always\"", &item);
        assert!(has(&expanded, "__private::supervise("), "made as one that restarts: {expanded}");
    }
    for parameter in
        ["&self", "mut self", "self: &Self", "self: Arc<Self>", "a: &u8", "a: Vec<&mut u8>"]
    {
        let item = format!("async fn work({parameter}) {{}}");
        is_taken("restart = \"always\"", &item);
        let expanded = supervised("restart = \"always\"", &item);
        assert!(has(&expanded, "supervise_restarting("), "{item}");
        assert!(has(&expanded, "move || async move {"), "{item}");
    }
}

#[test]
fn each_argument_is_in_the_policy() {
    const BARE: &str = "TaskSpec::new(\"work\", ::tokio_supervised::__private::Policy::DEFAULT";
    for (arguments, policy) in [
        ("", ")"),
        ("limit = 4", ".limit(4))"),
        ("limit = 4, on_full = \"wait\"", ".limit(4))"),
        ("limit = 4, on_full = \"reject\"", ".limit(4).reject_when_full())"),
        ("timeout = \"10s\"", ".timeout(::core::time::Duration::from_millis(10000u64)))"),
        ("on_cancel = \"drop\"", ")"),
        ("on_cancel = \"cooperate\"", ".cooperate())"),
        (
            "on_cancel = \"cooperate\", grace = \"none\"",
            ".cooperate().grace(::core::option::Option::None))",
        ),
        (
            "on_cancel = \"cooperate\", grace = \"5s\"",
            ".cooperate().grace(::core::option::Option::Some(::core::time::Duration::from_millis(5000u64))))",
        ),
    ] {
        let expanded = supervised(arguments, "async fn work() {}");
        assert!(refusals(expanded.clone()).is_empty(), "{arguments}");
        assert!(has(&expanded, &format!("{BARE}{policy}")), "{arguments}: {expanded}");
    }
}

#[test]
fn the_restart_condition_is_in_the_policy() {
    for (after, policy) in [("always", "ALWAYS"), ("on-failure", "ON_FAILURE")] {
        let expanded = supervised(&format!("restart = \"{after}\""), "async fn work() {}");
        assert!(has(
            &expanded,
            &format!(".restart(::tokio_supervised::__private::Restart::{policy})")
        ));
    }
}

#[test]
fn a_mutable_token_is_refused_once_under_restart() {
    is_refused(
        "restart = \"always\"",
        "async fn work(token: &mut CancellationToken) { token.cancelled().await }",
        "a token is shared and cannot be `&mut`",
    );
}

#[test]
fn a_function_that_is_not_restarted_is_one_run() {
    for receiver in ["", "self", "&self", "self: Arc<Self>"] {
        let expanded = supervised("", &format!("async fn work({receiver}) {{}}"));
        assert!(!has(&expanded, "move ||"), "{receiver}");
    }
}

#[test]
fn a_value_may_come_from_a_macro() {
    let (four, ten) = (fragment("4"), fragment("\"10s\""));
    let arguments = quote!(limit = #four, timeout = #ten);
    let expanded = expand(arguments, tokens("async fn work() {}"));
    assert!(refusals(expanded.clone()).is_empty());
    assert!(has(&expanded, ".limit(4).timeout(::core::time::Duration::from_millis(10000u64))"));
}

#[test]
fn a_value_with_a_sign_is_no_constant() {
    for (arguments, beginning) in [
        ("limit = -MOST", "`limit` takes a number"),
        ("limit = !0", "`limit` takes a number"),
        ("timeout = -1", "`timeout` takes a duration"),
        ("timeout = -LONG", "`timeout` takes a duration"),
        ("restart = \"always\", backoff = -1", "`backoff` takes two durations"),
        ("restart = \"always\", backoff = !WAITS", "`backoff` takes two durations"),
    ] {
        is_refused(arguments, "async fn work() {}", beginning);
    }
}

#[test]
fn the_name_of_the_token_may_come_from_a_macro() {
    let name = fragment("stop");
    let item = tokens("async fn work(stop: Stop) { stop.wait().await }");
    let expanded = expand(quote!(token = #name), item);
    assert!(refusals(expanded.clone()).is_empty());
    assert!(has(&expanded, "::core::clone::Clone::clone(&stop)"));
}

#[test]
fn the_injected_token_is_not_one_parameter_too_many() {
    const WAIVED: &str = "#[allow(clippy::too_many_arguments)]";
    for (parameters, is_waived) in [
        ("a: A, b: B, c: C, d: D, e: E, f: F", false),
        ("a: A, b: B, c: C, d: D, e: E, f: F, g: G", true),
        ("&self, b: B, c: C, d: D, e: E, f: F, g: G", true),
        // The author's own are too many already, and the lint stays.
        ("a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H", false),
        ("a: A, b: B, c: C, d: D, e: E, f: F, g: G, #[cfg(x)] h: H", true),
        ("token: CancellationToken, b: B, c: C, d: D, e: E, f: F, g: G", false),
    ] {
        let expanded = supervised("", &format!("async fn work({parameters}) {{ token.f() }}"));
        assert_eq!(has(&expanded, WAIVED), is_waived, "{parameters}");
    }
}

#[test]
fn an_expectation_about_a_name_stays_at_its_binding() {
    let expanded = supervised("", "async fn work(#[expect(unused_mut)] #[cfg(x)] mut a: u8) {}");
    assert!(has(&expanded, "#[allow(unused_mut)] #[cfg(x)] a: u8"));
    assert!(has(&expanded, "#[expect(unused_mut)] #[cfg(x)] let (mut a,) = (a,);"));
}

#[test]
fn an_expectation_about_a_type_is_allowed_at_both_places() {
    let expanded = supervised("", "async fn work(#[expect(clippy::ptr_arg)] a: &String) {}");
    assert!(has(&expanded, "#[allow(clippy::ptr_arg)] a: &String"));
    assert!(has(&expanded, "#[allow(clippy::ptr_arg)] let a = a;"));
    assert!(!has(&expanded, "expect"));
}

#[test]
fn unused_assignments_are_allowed_if_the_receiver_is_assigned() {
    for (statement, allowed) in [
        ("self = other;", true),
        ("self.a = 1;", true),
        ("self.a.0[1] += 1;", true),
        ("if a { *self.a <<= 1; }", true),
        ("self.a == 1;", false),
        ("self.a <= 1;", false),
        ("self.a(); b = 1;", false),
        ("match self { a => b }", false),
        ("let a = self; let b = a;", false),
    ] {
        let function = format!("async fn work(mut self) {{ {statement} }}");
        let expanded = supervised("", &function);
        assert_eq!(has(&expanded, "#[allow(unused_assignments)]"), allowed, "{statement}");
    }
}

#[test]
fn a_pattern_is_destructured_in_the_body() {
    for (pattern, bound) in [
        ("(a, b)", "let (a, b) = __supervised_0;"),
        ("ref a", "let ref a = __supervised_0;"),
        ("a @ Some(_)", "let a @ Some(_) = __supervised_0;"),
        ("_", "let _ = __supervised_0;"),
    ] {
        let expanded = supervised("", &format!("async fn work({pattern}: A) {{}}"));
        assert!(has(&expanded, "__supervised_0: A"), "{pattern}");
        assert!(has(&expanded, bound), "{pattern}");
    }
}

#[test]
fn a_raw_name_is_shown_as_a_plain_one() {
    assert!(has(&supervised("", "async fn r#move() {}"), "TaskSpec::new(\"move\","));
}

#[test]
fn an_error_that_visibly_borrows_is_not_inspected() {
    for (output, is_borrowed) in [
        ("Result<(), Error<'a>>", true),
        ("Result<(), &'static Error<'a>>", true),
        ("Result<(), &Error>", true),
        ("Result<(), Box<dyn Error + 'a>>", true),
        ("Result<(), (u8, [&str; 2])>", true),
        ("(Result<(), Error<'a>>)", true),
        ("Result<&'a str, Error>", false),
        ("Result<(), &'static str>", false),
        ("Result<(), Box<dyn Error + Send + 'static>>", false),
        ("Result<(), (u8, Error)>", false),
        ("io::Result<&'a str>", false),
        ("Answer", false),
    ] {
        let expanded = supervised("", &format!("async fn work<'a>() -> {output} {{ f() }}"));
        assert!(refusals(expanded.clone()).is_empty(), "{output}");
        assert_eq!(has(&expanded, "ByBorrowedError as _"), is_borrowed, "{output}");
        assert_eq!(has(&expanded, "ByError as _"), !is_borrowed, "{output}");
    }
}

#[test]
fn an_opaque_part_of_the_return_type_is_inferred() {
    let expanded = supervised("", "async fn work() -> Result<Vec<impl Iterator>, E> { f() }");
    assert!(has(&expanded, "Output = Result<Vec<impl Iterator>, E>"));
    assert!(has(&expanded, "output::<Result<Vec<_>, E>>"));
    assert!(has(&expanded, "declared::<Result<Vec<_>, E>>"));
}

#[test]
fn a_refused_return_type_is_not_checked_further() {
    for output in ["u8", "!", "impl Future", "(u8, u8)", "&'static str"] {
        let item = format!("async fn work() -> {output} {{ f() }}");
        is_refused("", &item, "this return type cannot carry a failure");
        let expanded = supervised("", &item);
        assert!(has(&expanded, "refused(::tokio_supervised::__private::always_ok)"), "{output}");
        assert!(!has(&expanded, "__supervised_never"), "{output}");
    }
}
