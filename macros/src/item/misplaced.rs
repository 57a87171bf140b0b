//! Attributes that cannot be combined with an entry's.

use syn::{Attribute, Path};

use super::messages::EntryKind;
use crate::diagnostics::Diagnostics;

/// Refuses attributes that themselves build a runtime, a test or a run, and removes them.
pub(super) fn refuse(
    kind: EntryKind,
    attributes: &mut Vec<Attribute>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let before = attributes.len();
    attributes.retain(|attribute| {
        let path = attribute.path();
        let message = match kind {
            EntryKind::Main => beneath_main(path),
            EntryKind::Test => beneath_test(path),
        };
        if let Some(message) = message {
            diagnostics.refuse(path, message);
        }
        message.is_none()
    });
    attributes.len() < before
}

fn beneath_main(path: &Path) -> Option<&'static str> {
    let is_tokios = is(path, &["tokio", "main"]) || is(path, &["tokio", "test"]);
    let is_second = ends_with(path, &["supervised", "main"]);
    if is_tokios || is_second {
        return Some(
            "`#[supervised::main]` already builds the runtime\nhelp: remove this attribute",
        );
    }
    ends_with(path, &["supervised"]).then_some(
        "`#[supervised::main]` already supervises the body of `main`\nhelp: remove this attribute",
    )
}

fn ends_with(path: &Path, names: &[&str]) -> bool {
    let segments = path.segments.iter().rev();
    path.segments.len() >= names.len()
        && segments.zip(names.iter().rev()).all(|(segment, name)| segment.ident == name)
}

fn beneath_test(path: &Path) -> Option<&'static str> {
    let last = path.segments.last().map(|segment| segment.ident.to_string());
    let first = path.segments.first().map(|segment| segment.ident.to_string());
    match last.as_deref()? {
        "test" => Some(
            "`#[supervised::test]` already makes this function a test\nhelp: remove this attribute",
        ),
        "main" if ["tokio", "supervised", "tokio_supervised"].contains(&first.as_deref()?) => {
            Some("`#[supervised::test]` already builds the runtime\nhelp: remove this attribute")
        }
        "supervised" => Some(
            "`#[supervised::test]` already supervises the body of a test\nhelp: remove this attribute",
        ),
        _ => None,
    }
}

fn is(path: &Path, names: &[&str]) -> bool {
    path.segments.len() == names.len()
        && path.segments.iter().zip(names).all(|(segment, name)| segment.ident == name)
}
