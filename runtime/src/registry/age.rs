//! Durations as a person reads them.

use std::{fmt, time::Duration};

/// `412 ms`, `3.2 s`, `2 m 05 s`, `3 h 12 m`, `4 d 01 h`.
#[derive(Clone, Copy)]
pub(crate) struct Age(pub(crate) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_millis() / 100;
        let seconds = self.0.as_secs();
        let text = match seconds {
            0 if self.0.as_millis() == 0 => format!("{} µs", self.0.as_micros()),
            0 => format!("{} ms", self.0.as_millis()),
            1..60 => format!("{}.{} s", tenths / 10, tenths % 10),
            60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
            3_600..86_400 => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
            _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3_600 % 24),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_or_two_units_and_is_never_rounded_up() {
        let texts = [
            (0, "0 µs"),
            (999, "999 µs"),
            (412_000, "412 ms"),
            (999_999, "999 ms"),
            (3_299_999, "3.2 s"),
            (59_999_999, "59.9 s"),
            (125_000_000, "2 m 05 s"),
            (11_520_000_000, "3 h 12 m"),
            (349_200_000_000, "4 d 01 h"),
        ];
        for (micros, text) in texts {
            assert_eq!(Age(Duration::from_micros(micros)).to_string(), text);
        }
        assert_eq!(format!("{:>8}", Age(Duration::from_secs(1))), "   1.0 s");
    }
}
