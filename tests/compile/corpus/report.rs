//! The checked functions and the results.

use std::{collections::BTreeMap, fmt};

use super::{expanded::Judgement, lines::Lines};

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) crates: usize,
    pub(crate) functions: usize,
    pub(crate) unreadable: usize,
    pub(crate) fragments: usize,
    pub(crate) lines: Lines,
    /// Panics and unparsable output, each with its place.
    pub(crate) faults: Vec<String>,
    refused: usize,
    /// The refused functions, by message.
    refusals: BTreeMap<String, Vec<String>>,
}

impl Report {
    pub(crate) fn add(&mut self, place: &str, judgement: Judgement) {
        self.functions += 1;
        match judgement {
            Err(fault) => self.faults.push(format!("{place}: {fault}")),
            Ok(messages) => {
                self.refused += usize::from(!messages.is_empty());
                for message in messages {
                    self.refusals.entry(kind(&message)).or_default().push(place.to_owned());
                }
            }
        }
    }

    /// Each of them, for a reader to judge.
    pub(crate) fn refused_functions(&self) -> String {
        let mut text = self.to_string();
        for (message, places) in &self.refusals {
            text += &format!("\n{message}\n");
            for place in places {
                text += &format!("  {place}\n");
            }
        }
        text
    }
}

/// A message without its remedy, which differs between functions.
fn kind(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    first.split_once(": ").map_or(first, |(what, _)| what).to_owned()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} crates, {} functions", self.crates, self.functions)?;
        writeln!(
            f,
            "{} more in macro_rules!, {} files that cannot be tokenized",
            self.fragments, self.unreadable
        )?;
        write!(f, "{}", self.lines)?;
        writeln!(f, "{} faults, {} functions refused", self.faults.len(), self.refused)?;
        for (message, places) in &self.refusals {
            writeln!(f, "{:6} {message}", places.len())?;
        }
        Ok(())
    }
}
