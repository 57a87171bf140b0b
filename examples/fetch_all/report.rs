//! The summary of all pages: the counts, the table, and the result of `main`.

use std::{
    io::{self, Write},
    time::Duration,
};

use reqwest::Url;
use tokio_supervised::{Outcome, TaskError};

use crate::fetch::{FetchError, Page};

/// The end of every page that was started, in the order of the list.
pub(crate) struct Report {
    urls: Vec<Url>,
    ends: Vec<Result<Page, FetchError>>,
    /// The cancellation that stands for the pages that were never started.
    rest: Option<FetchError>,
}

/// A column of the table each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ok: usize,
    pub(crate) failed: usize,
    pub(crate) panicked: usize,
    pub(crate) timed_out: usize,
    pub(crate) cancelled: usize,
}

impl Report {
    /// `ends` may be shorter than `urls`: the pages that were never started share the last one.
    pub(crate) fn new(urls: Vec<Url>, mut ends: Vec<Result<Page, FetchError>>) -> Self {
        let rest = if ends.len() < urls.len() { ends.pop() } else { None };
        Self { urls, ends, rest: rest.and_then(Result::err) }
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for end in &self.ends {
            let column = match end.as_ref().map_err(FetchError::outcome) {
                Ok(_) => &mut counts.ok,
                Err(Outcome::Panicked) => &mut counts.panicked,
                Err(Outcome::TimedOut) => &mut counts.timed_out,
                Err(Outcome::Cancelled) => &mut counts.cancelled,
                Err(_) => &mut counts.failed,
            };
            *column += 1;
        }
        counts
    }

    pub(crate) fn all_fetched(&self) -> bool {
        self.counts().ok == self.urls.len()
    }

    /// The cancellation that cut the work short, for `main` to return.
    pub(crate) fn into_cancellation(self) -> Option<TaskError> {
        let mut errors = self.ends.into_iter().filter_map(Result::err).chain(self.rest);
        errors.find_map(|error| match error {
            FetchError::Task(error @ TaskError::Cancelled(_)) => Some(error),
            _ => None,
        })
    }

    /// Names each page that was not fetched, and why.
    pub(crate) fn write_failures(&self, to: &mut impl Write) -> io::Result<()> {
        for (url, end) in self.urls.iter().zip(&self.ends) {
            match end {
                Err(error) if error.outcome() != Outcome::Cancelled => {
                    writeln!(to, "{url}: {error}")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn write_how_far(&self, to: &mut impl Write) -> io::Result<()> {
        let (all, started, cut_short) = (self.urls.len(), self.ends.len(), self.counts().cancelled);
        let (ended, left) = (started - cut_short, all - started);
        writeln!(
            to,
            "Interrupted: {ended} of {all} pages finished, {cut_short} were cancelled, {left} had not started."
        )
    }

    pub(crate) fn write_table(&self, to: &mut impl Write) -> io::Result<()> {
        let Counts { ok, failed, panicked, timed_out, cancelled } = self.counts();
        let fetched = || self.ends.iter().flatten();
        let mut took: Vec<_> = fetched().map(|page| page.took).collect();
        took.sort_unstable();
        let bytes: u64 = fetched().map(|page| page.bytes).sum();
        let columns = [
            ("ok", ok.to_string()),
            ("failed", failed.to_string()),
            ("panicked", panicked.to_string()),
            ("timed out", timed_out.to_string()),
            ("cancelled", cancelled.to_string()),
            ("p50", quantile(&took, 50)),
            ("p99", quantile(&took, 99)),
            ("bytes", bytes.to_string()),
        ];
        let width = |(head, value): &(&str, String)| head.len().max(value.len());
        for column in &columns {
            write!(to, "{:>1$}", column.0, width(column) + 2)?;
        }
        writeln!(to)?;
        for column in &columns {
            write!(to, "{:>1$}", column.1, width(column) + 2)?;
        }
        writeln!(to)
    }
}

/// The nearest rank: a duration that was measured.
fn quantile(sorted: &[Duration], percent: usize) -> String {
    let rank = (sorted.len() * percent).div_ceil(100);
    let took = rank.checked_sub(1).and_then(|at| sorted.get(at));
    took.map_or_else(|| "-".to_owned(), |took| format!("{:.1}ms", took.as_secs_f64() * 1e3))
}
