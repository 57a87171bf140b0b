//! The middle of some values, and where most of them are.

use crate::counts::Counts;

pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) p10: f64,
    pub(crate) p90: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        Self { median: at(0.5), p10: at(0.1), p90: at(0.9) }
    }

    /// For a value that does not vary between reads.
    pub(crate) fn exactly(value: f64) -> Self {
        Self { median: value, p10: value, p90: value }
    }

    pub(crate) fn shown(&self, decimals: usize) -> String {
        if self.p10 == self.p90 {
            return String::new();
        }
        format!("({:.decimals$} .. {:.decimals$})", self.p10, self.p90)
    }
}

/// How many times one contender's price is that of another.
pub(crate) struct Ratio {
    pub(crate) time: Spread,
    pub(crate) counts: Option<Counts>,
}

impl Ratio {
    /// Of values that do not vary between reads, and are no times.
    pub(crate) fn exactly(value: f64) -> Self {
        Self { time: Spread::exactly(value), counts: None }
    }
}
