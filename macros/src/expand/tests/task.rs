//! The input and the output of `task!`, as far as neither a case of `tests/ui` nor a reviewed expansion shows them.

use crate::expand::task as expand;
use crate::testing::refusals::{has, refusals, tokens};

const CLOSURE: &str = "move |__supervised_token: ::tokio_supervised::CancellationToken";

#[test]
fn the_start_of_the_closure_ends_the_arguments() {
    for closure in ["|token| f(token)", "|_| f()", "move |token| f(token)"] {
        for call in [format!("\"a\", {closure}"), format!("\"a\", limit = 4, {closure},")] {
            let expanded = expand(tokens(&call));
            assert!(refusals(expanded.clone()).is_empty(), "{call}");
            assert!(has(&expanded, CLOSURE), "{call}");
            assert_eq!(has(&expanded, ".limit(4)"), call.contains("limit"), "{call}");
        }
    }
}

#[test]
fn a_call_that_is_refused_is_no_future_either() {
    for (body, is_left) in [
        ("tokio::spawn(f(token))", false),
        ("Handle::current().spawn(f(token))", false),
        // Any `async` block is a future.
        ("async move { tokio::spawn(f(token)); }", true),
        ("{ tokio::spawn(f(token)); g() }", true),
    ] {
        let expanded = expand(tokens(&format!("\"a\", |token| {body}")));
        assert_eq!(refusals(expanded.clone()).len(), 1, "{body}");
        assert_eq!(has(&expanded, CLOSURE), is_left, "{body}");
    }
    // With a return type, the body is that of a function, not a call.
    let expanded = expand(tokens("\"a\", |token| -> Result<(), E> { tokio::spawn(f(token)) }"));
    assert_eq!(refusals(expanded.clone()).len(), 1);
    assert!(has(&expanded, CLOSURE));
}

#[test]
fn a_closure_without_the_token_is_dropped_when_it_fires() {
    for (call, cooperates) in [
        ("\"a\", |token| f(token)", true),
        ("\"a\", |token: CancellationToken| f(token)", true),
        ("\"a\", |_| f()", false),
        ("\"a\", |_: CancellationToken| f()", false),
        ("\"a\", on_cancel = \"drop\", |token| f()", false),
    ] {
        let expanded = expand(tokens(call));
        assert!(refusals(expanded.clone()).is_empty(), "{call}");
        assert_eq!(has(&expanded, ".cooperate()"), cooperates, "{call}");
    }
    let refused = refusals(expand(tokens("\"a\", |token| f()")));
    assert!(
        matches!(&refused[..], [only] if only.starts_with("this body never checks")),
        "{refused:?}"
    );
}

#[test]
fn a_return_type_that_is_refused_leaves_no_closure() {
    let expanded = expand(tokens("\"a\", |token| -> u8 { f(token) }"));
    assert_eq!(refusals(expanded.clone()).len(), 1);
    assert!(!has(&expanded, CLOSURE));
}

#[test]
fn a_closure_keeps_its_other_parameters() {
    let expanded = expand(tokens("\"a\", |token, item: Item, (a, b)| f(token, item, a, b)"));
    assert!(has(&expanded, "CancellationToken, item: Item, (a, b)|"));
}
