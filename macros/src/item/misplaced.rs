//! Attributes that are refused beneath those of this crate.

use syn::Attribute;

use crate::diagnostics::Diagnostics;

/// Refuses attributes that themselves build a runtime, a test or a run, and removes them. `message` gets the names of an
/// attribute's path. Returns whether there was one.
pub(super) fn refuse(
    attributes: &mut Vec<Attribute>,
    message: fn(&[&str]) -> Option<&'static str>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let before = attributes.len();
    attributes.retain(|attribute| {
        let path = attribute.path();
        let names: Vec<_> = path.segments.iter().map(|name| name.ident.to_string()).collect();
        let message = message(&names.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some(message) = message {
            diagnostics.refuse(path, message);
        }
        message.is_none()
    });
    attributes.len() < before
}

pub(super) fn beneath_supervised(path: &[&str]) -> Option<&'static str> {
    match path {
        [.., "test"] => Some(
            "`#[supervised]` cannot be combined with a test attribute\nhelp: write `#[supervised::test]` instead of both attributes",
        ),
        ["tokio", .., "main"] => Some(
            "`#[supervised]` cannot be combined with `#[tokio::main]`\nhelp: write `#[supervised::main]` instead of both attributes",
        ),
        [.., "supervised"] => Some(
            "this function has `#[supervised]` twice\nhelp: remove one, and put all arguments into the other",
        ),
        _ => None,
    }
}

pub(super) fn beneath_main(path: &[&str]) -> Option<&'static str> {
    match path {
        ["tokio", "main" | "test"] | [.., "supervised", "main"] => {
            Some("`#[supervised::main]` already builds the runtime\nhelp: remove this attribute")
        }
        [.., "supervised"] => Some(
            "`#[supervised::main]` already supervises the body of `main`\nhelp: remove this attribute",
        ),
        _ => None,
    }
}

pub(super) fn beneath_test(path: &[&str]) -> Option<&'static str> {
    match path {
        [.., "test"] => Some(
            "`#[supervised::test]` already makes this function a test\nhelp: remove this attribute",
        ),
        ["tokio" | "supervised" | "tokio_supervised", .., "main"] => {
            Some("`#[supervised::test]` already builds the runtime\nhelp: remove this attribute")
        }
        [.., "supervised"] => Some(
            "`#[supervised::test]` already supervises the body of a test\nhelp: remove this attribute",
        ),
        _ => None,
    }
}
