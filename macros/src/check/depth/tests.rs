//! The count of a level, and where it ends. `robustness` tests that accepted input fits into a stack.

use quote::quote;

use super::{MAX_GROUP_DEPTH, fits_parser_stack, refuse_deep_arguments, refuse_deep_header};
use crate::testing::refusals::{fragment, tokens};

fn is_read(text: &str) -> bool {
    fits_parser_stack(tokens(text))
}

#[test]
fn a_stack_is_used_to_its_last_kib() {
    for link in [".b", "?", ".0"] {
        assert!(is_read(&format!("a{}", link.repeat(400))), "{link}");
        assert!(!is_read(&format!("a{}", link.repeat(402))), "{link}");
    }
}

#[test]
fn closed_syntax_adds_no_depth() {
    for ended in [
        "a.b(); ",
        "a.b(), ",
        "a.b() => ",
        "a::<B>(), ",
        "A<B<C>>, ",
        "a < b; ",
        "fn() -> B, ",
        "if a {} ",
        "loop {} ",
        "a(|b, c| d); ",
        "#[a] {} ",
        "'a: {} ",
        "#![a] ",
        "#[a] ",
        "'a ",
    ] {
        assert!(is_read(&ended.repeat(500)), "{ended}");
    }
}

#[test]
fn open_syntax_adds_depth() {
    for open in [
        "a::<B, ",
        "A<fn() -> B, ",
        "|a, b| ",
        "a | |b, c| ",
        "if a {} else ",
        "a {} + ",
        "a {} () ",
        "{} as ",
        "for A {} in ",
        "a = &",
        "a() ",
        "1 ",
        "struct ",
    ] {
        assert!(!is_read(&open.repeat(500)), "{open}");
    }
}

#[test]
fn an_operator_between_values_is_no_borrow() {
    for operator in ["&&", "&", "*", "==", "||", "+", "-"] {
        assert!(is_read(&format!("a {operator} ").repeat(100)), "{operator}");
    }
    for borrow in ["&", "*", "&mut ", "a = &", "a - &"] {
        assert!(!is_read(&borrow.repeat(100)), "{borrow}");
    }
}

#[test]
fn arguments_that_are_too_deep_are_refused() {
    assert!(refuse_deep_arguments(&tokens("limit = 1 + 1")).is_none());
    assert!(refuse_deep_arguments(&tokens(&format!("limit = {}1", "!".repeat(500)))).is_some());
}

#[test]
fn a_body_may_exceed_the_parser_bound_but_not_the_walk_bound() {
    let nested = |levels: usize| format!("{}{}", "(".repeat(levels), ")".repeat(levels));
    // The body is a group too.
    for (levels, is_refused) in
        [(100, false), (MAX_GROUP_DEPTH - 1, false), (MAX_GROUP_DEPTH, true)]
    {
        let body = tokens(&format!("{{ {} }}", nested(levels)));
        assert_eq!(
            refuse_deep_header(&quote!(async fn work() #body)).is_some(),
            is_refused,
            "{levels}"
        );
    }
    let (body, item) = (format!("{{ {} }}", nested(100)), tokens("async fn work()"));
    let wrapped = fragment(&body);
    assert!(refuse_deep_header(&quote!(#item #wrapped)).is_none(), "a body from a macro");
    let wrapped = fragment(&format!("async fn work() {body}"));
    assert!(refuse_deep_header(&quote!(#wrapped)).is_none(), "a function from a macro");
}

#[test]
fn a_header_without_a_body_is_read_as_a_whole() {
    let deep = format!("{{ {}1{} }}", "(".repeat(100), ")".repeat(100));
    for header in [
        format!("async fn work(a: [u8; {deep}])"),
        format!("async fn work() -> [u8; {deep}]"),
        format!("async fn work(a: [u8; {deep}]) {{}}"),
        format!("async fn work() -> [u8; {deep}];"),
    ] {
        assert!(refuse_deep_header(&tokens(&header)).is_some(), "{header}");
    }
}
