//! The numbers, without sharing.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Lines of 0 words, of 1, of 2 and 3, of 4 to 7, …, of 2⁶³ and more.
pub(crate) const BUCKETS: usize = 65;

/// The bucket of a line with that many words.
pub(crate) fn bucket(words: u64) -> usize {
    (u64::BITS - words.leading_zeros()) as usize
}

/// How many words the lines had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) lines: u64,
    /// The words of all lines; it wraps around, as an atomic does.
    pub(crate) words: u64,
    /// `u64::MAX` while there is no line.
    pub(crate) shortest: u64,
    pub(crate) longest: u64,
    pub(crate) histogram: [u64; BUCKETS],
}

impl Default for Summary {
    fn default() -> Self {
        Self { lines: 0, words: 0, shortest: u64::MAX, longest: 0, histogram: [0; BUCKETS] }
    }
}

impl Summary {
    pub(crate) fn record(&mut self, words: u64) {
        self.lines += 1;
        self.words = self.words.wrapping_add(words);
        self.shortest = self.shortest.min(words);
        self.longest = self.longest.max(words);
        self.histogram[bucket(words)] += 1;
    }

    /// One line, for progress reports.
    pub(crate) fn short(&self) -> String {
        format!("{} lines, {} words, {} words a line", self.lines, self.words, self.mean())
    }

    fn mean(&self) -> String {
        if self.lines == 0 {
            return "-".to_owned();
        }
        format!("{:.2}", self.words as f64 / self.lines as f64)
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let extreme = |words: u64| if self.lines == 0 { "-".to_owned() } else { words.to_string() };
        let columns = [
            ("lines", self.lines.to_string()),
            ("words", self.words.to_string()),
            ("shortest", extreme(self.shortest)),
            ("longest", extreme(self.longest)),
            ("mean", self.mean()),
        ];
        let (mut heads, mut values) = (String::new(), String::new());
        for (head, value) in columns {
            let width = head.len().max(value.len()) + 2;
            // Writing into a `String` cannot fail.
            _ = write!(heads, "{head:>width$}");
            _ = write!(values, "{value:>width$}");
        }
        writeln!(to, "{heads}\n{values}")?;
        self.write_histogram(to)
    }

    fn write_histogram(&self, to: &mut impl Write) -> io::Result<()> {
        const WIDEST: f64 = 40.0;
        let Some(last) = self.histogram.iter().rposition(|&lines| lines > 0) else {
            return Ok(());
        };
        let most = self.histogram.iter().copied().max().unwrap_or(1) as f64;
        writeln!(to, "\n  words on a line")?;
        for (at, &lines) in self.histogram.iter().enumerate().take(last + 1) {
            let bar = "#".repeat((lines as f64 / most * WIDEST).ceil() as usize);
            writeln!(to, "{}", format!("{:>20} {lines:>9}  {bar}", range(at)).trim_end())?;
        }
        Ok(())
    }
}

/// The range of a bucket: `0`, `1`, `2-3`, `4-7`.
fn range(bucket: usize) -> String {
    match bucket {
        0 | 1 => bucket.to_string(),
        _ => {
            let first = 1_u64 << (bucket - 1);
            format!("{first}-{}", first + (first - 1))
        }
    }
}
