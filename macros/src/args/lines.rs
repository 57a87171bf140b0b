//! `lines`: whether the `.await`s of the body are marked with their lines.

use super::{
    list::{Arguments, KnownKey},
    values,
};
use crate::diagnostics::Diagnostics;

pub(super) const LINES: KnownKey = KnownKey::value("lines", "false");

/// Takes the argument. Lines are on by default.
pub(super) fn take(given: &mut Arguments, diagnostics: &mut Diagnostics) -> bool {
    given.take("lines").and_then(|argument| values::switch(&argument, diagnostics)).unwrap_or(true)
}
