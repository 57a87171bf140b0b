//! A line of the input, and a row of the output.

/// A line, without its end.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// A row of the output, with its end.
pub(crate) struct Row {
    pub(crate) text: String,
    /// The bytes of the line that it was made of.
    pub(crate) read: usize,
}

impl Line {
    /// Splits the line into an item and a count.
    pub(crate) fn parse(&self) -> Option<(&str, u64)> {
        let (item, count) = self.text.split_once(',')?;
        Some((item, count.parse().ok()?))
    }

    pub(crate) fn priced(&self, price: u64) -> Row {
        Row { text: format!("{},{price}\n", self.text), read: self.text.len() + 1 }
    }
}
