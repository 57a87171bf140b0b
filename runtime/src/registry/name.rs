//! A name in a report: on one line of bounded width, for any name.

use std::fmt::{self, Write as _};

pub(crate) const MOST_CHARACTERS: usize = 128;

/// As it was given, but for control characters: a line break would break a table, and a terminal obeys others. At
/// most 128 characters of it: a table is as wide as its widest name, and a format width above 65,535 panics.
pub(crate) struct Name<'a>(pub(crate) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, each) in self.0.chars().enumerate() {
            if at == MOST_CHARACTERS {
                return f.write_char('…');
            }
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
    fn only_control_characters_of_a_name_are_escaped() {
        for (given, written) in [
            ("fetch", "fetch"),
            ("größe \"7\" \\", "größe \"7\" \\"),
            ("a\nb\u{1b}[31m\t\u{0}", "a\\nb\\u{1b}[31m\\t\\0"),
        ] {
            assert_eq!(Name(given).to_string(), written);
        }
    }

    #[test]
    fn a_name_of_any_length_has_a_bounded_width() {
        for (length, width) in [(128, 128), (129, 129), (65_600, 129)] {
            let name = Box::leak("ñ".repeat(length).into_boxed_str());
            assert_eq!(Name(name).to_string().chars().count(), width);
        }
    }
}
