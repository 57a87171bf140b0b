//! The input and the output of the entries, as far as neither a case of `tests/ui` nor a reviewed expansion shows them.

use proc_macro2::TokenStream;

use crate::expand::{main, test};
use crate::testing::refusals::{has, refusals, tokens};

fn entry(item: &str) -> TokenStream {
    main(TokenStream::new(), tokens(item))
}

fn tested(arguments: &str, item: &str) -> TokenStream {
    test(tokens(arguments), tokens(item), true)
}

#[test]
fn an_attribute_that_is_no_entry_stays_above_main() {
    for attribute in
        ["#[allow(x)]", "#[tokio]", "#[tokio::other]", "#[other::main]", "#[tokio::main::again]"]
    {
        let expanded = entry(&format!("{attribute} async fn main() {{}}"));
        assert!(refusals(expanded.clone()).is_empty(), "{attribute} is refused");
        assert!(has(&expanded, attribute), "{attribute} is lost");
    }
    for attribute in ["#[tokio::main]", "#[tokio::test]"] {
        let expanded = entry(&format!("{attribute} async fn main() {{}}"));
        assert_eq!(refusals(expanded.clone()).len(), 1, "{attribute}");
        assert!(!has(&expanded, attribute), "{attribute} stays");
    }
}

#[test]
fn an_attribute_that_is_no_entry_stays_above_a_test() {
    for attribute in ["#[should_panic]", "#[other::main]", "#[main]", "#[tokio]"] {
        let expanded = tested("", &format!("{attribute} async fn works() {{}}"));
        assert!(refusals(expanded.clone()).is_empty(), "{attribute} is refused");
        assert!(has(&expanded, attribute), "{attribute} is lost");
    }
    for attribute in ["#[tokio::test]", "#[test]", "#[tokio::main]", "#[supervised]"] {
        let expanded = tested("", &format!("{attribute} async fn works() {{}}"));
        assert_eq!(refusals(expanded.clone()).len(), 1, "{attribute}");
        assert!(!has(&expanded, attribute), "{attribute} stays");
    }
}

#[test]
fn a_test_of_another_attribute_is_kept_and_refused_once() {
    let item = "#[::core::prelude::v1::test] fn works() { runtime().block_on(async {}) }";
    let expanded = tested("", item);
    assert_eq!(refusals(expanded.clone()).len(), 1);
    assert!(has(&expanded, item));
}

#[test]
fn a_plain_main_under_tokio_main_is_refused_for_both() {
    let expanded = entry("#[tokio::main] fn main() {}");
    assert_eq!(refusals(expanded.clone()).len(), 2);
    assert!(has(&expanded, "fn main() -> ::std::process::ExitCode"));
}

#[test]
fn a_test_method_is_kept_and_a_main_loses_its_parameters() {
    let method = "async fn works(&self) { self.work().await }";
    let expanded = tested("", method);
    assert_eq!(refusals(expanded.clone()).len(), 1);
    assert!(has(&expanded, method));
    let expanded = entry("async fn main(&self) {}");
    assert_eq!(refusals(expanded.clone()).len(), 1);
    assert!(has(&expanded, "fn main() -> ::std::process::ExitCode"));
}

#[test]
fn an_unnameable_return_type_of_an_entry_is_not_named() {
    let expanded = entry("async fn main() -> ! { f().await }");
    assert!(has(&expanded, "exit(::tokio_supervised::__private::always_ok)"));
    assert!(!has(&expanded, "__supervised_never"));
    let expanded = entry("async fn main() -> impl Termination { f().await }");
    assert!(has(&expanded, "exit::<_>(::tokio_supervised::__private::always_ok)"));
    assert!(has(&expanded, "declared::<_>"));
    let expanded = tested("", "async fn works() -> ! { f().await }");
    assert!(has(&expanded, "::tokio_supervised::__private::always_ok, |"));
    assert!(!has(&expanded, "__supervised_never"));
}

#[test]
fn time_is_paused_only_where_it_can_be() {
    let paused = |arguments: &str, has_test_util| {
        let expanded = test(tokens(arguments), tokens("async fn works() {}"), has_test_util);
        (has(&expanded, ".start_paused()"), refusals(expanded).len())
    };
    assert_eq!(paused("start_paused = true", true), (true, 0));
    assert_eq!(paused("start_paused = true", false), (false, 1));
    assert_eq!(paused("start_paused = false", false), (false, 0));
    assert_eq!(paused("start_paused = true, flavor = \"multi_thread\"", true), (false, 1));
    assert_eq!(paused("start_paused = false, flavor = \"multi_thread\"", true), (false, 0));
}
