//! The message of a panic, shortened: a snapshot has many, and a message may be anything.

use std::borrow::Cow;

use crate::panic;

/// Characters of a message.
const LONGEST: usize = 2000;

/// Returns the message, truncated to the maximum length with the length of the rest.
pub(crate) fn cut(message: &str) -> Cow<'_, str> {
    match message.char_indices().nth(LONGEST) {
        None => Cow::Borrowed(message),
        Some((end, _)) => {
            let (start, rest) = message.split_at(end);
            // The panic itself has cut the rest already.
            Cow::Owned(match panic::original_length(rest) {
                Some(bytes) => format!("{start}… ({bytes} bytes)"),
                None => format!("{start}… ({} characters more)", rest.chars().count()),
            })
        }
    }
}

/// Escapes control characters, which a terminal would obey. Quotes stay as they are.
pub(crate) fn single_line(message: &str) -> String {
    let mut line = String::new();
    for each in cut(message).chars() {
        match each {
            '"' | '\'' => line.push(each),
            other => line.extend(other.escape_debug()),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_says_how_much_is_missing() {
        let longest = "é".repeat(LONGEST);
        assert_eq!(cut(&longest), longest);
        assert_eq!(cut(&format!("{longest}123")), format!("{longest}… (3 characters more)"));
        assert_eq!(cut(&format!("{longest}1… (9876 bytes)")), format!("{longest}… (9876 bytes)"));
    }

    #[test]
    fn a_line_keeps_quotes_and_escapes_control_characters() {
        let line = single_line("it's \"so\"\n\u{1b}[31m \u{202e}");
        assert_eq!(line, "it's \"so\"\\n\\u{1b}[31m \\u{202e}");
    }
}
