//! The options of one call: its label, its timeout, its grace.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

/// The options of one call, beside those of its function.
#[derive(Clone, Default)]
pub struct Tuning {
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Option<Duration>,
    pub(crate) label: Option<Label>,
}

impl Tuning {
    /// Replaces each option that `other` has.
    pub(crate) fn merge(&mut self, other: Self) {
        self.timeout = other.timeout.or(self.timeout);
        self.grace = other.grace.or(self.grace);
        self.label = other.label.or(self.label.take());
    }
}

/// The text that distinguishes one call or task of a function from the others.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Label(Arc<String>);

impl Label {
    /// The length at which the text is cut, in bytes.
    pub(crate) const MAX_BYTES: usize = 128;

    /// Formats `text`, once, without control characters: labels come from outside of the program, and a line break
    /// would forge a line of a log.
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        let mut label = Bounded(String::new());
        // An `Err` means that the text was cut, or that its `Display` gave up: what was written counts.
        _ = write!(label, "{text}");
        Self(Arc::new(label.0))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A text of at most [`Label::MAX_BYTES`], on one line.
struct Bounded(String);

impl Bounded {
    fn push(&mut self, char: char) -> fmt::Result {
        if self.0.len() + char.len_utf8() > Label::MAX_BYTES {
            return Err(fmt::Error);
        }
        self.0.push(char);
        Ok(())
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for char in piece.chars() {
            if char.is_control() {
                char.escape_debug().try_for_each(|char| self.push(char))?;
            } else {
                self.push(char)?;
            }
        }
        Ok(())
    }
}

/// A task in a text: its name, and its label if it has one.
///
/// ``task `connection` [10.0.0.7:5123]``
pub(crate) struct TaskTitle<'a> {
    pub(crate) name: &'static str,
    pub(crate) label: Option<&'a str>,
}

impl fmt::Display for TaskTitle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}`{}", self.name, Bracketed(self.label))
    }
}

/// A label behind a name: nothing, or a space and the label in brackets.
pub(crate) struct Bracketed<'a>(pub(crate) Option<&'a str>);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |label| write!(f, " [{label}]"))
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_cut_at_a_char_boundary() {
        assert_eq!(Label::new(format_args!("{}:{}", "10.0.0.7", 80)).as_str(), "10.0.0.7:80");
        assert_eq!(Label::new("a".repeat(200)).as_str(), "a".repeat(128));
        assert_eq!(Label::new("ñ".repeat(200)).as_str(), "ñ".repeat(64));
        assert_eq!(Label::new(format!("a{}", "ñ".repeat(200))).as_str().len(), 127);
    }

    #[test]
    fn a_label_stays_on_one_line() {
        assert_eq!(Label::new("a\nb\u{1b}[31m \"q\"").as_str(), "a\\nb\\u{1b}[31m \"q\"");
        assert_eq!(Label::new(format!("{}\n", "a".repeat(127))).as_str().len(), 128);
    }

    #[test]
    fn a_display_that_gives_up_leaves_what_it_wrote() {
        struct GivesUp;
        impl fmt::Display for GivesUp {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(Label::new(GivesUp).as_str(), "half");
    }
}
