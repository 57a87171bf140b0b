//! A name in a report: on one line, whatever is in it.

use std::fmt::{self, Write as _};

/// As it was given, but for control characters: a line break would break a table, and a terminal obeys others.
pub(crate) struct Name(pub(crate) &'static str);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for each in self.0.chars() {
            if each.is_control() {
                write!(f, "{}", each.escape_debug())?;
            } else {
                f.write_char(each)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_stays_on_its_line_and_is_else_as_it_was_given() {
        for (given, written) in [
            ("fetch", "fetch"),
            ("größe \"7\" \\", "größe \"7\" \\"),
            ("a\nb\u{1b}[31m\t\u{0}", "a\\nb\\u{1b}[31m\\t\\0"),
        ] {
            assert_eq!(Name(given).to_string(), written);
        }
    }
}
