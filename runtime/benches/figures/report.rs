//! The lines of the report: a cost and what its guarantees lack, a ratio and its goal.

use std::sync::{Mutex, PoisonError};

use crate::spread::Spread;

/// The goals that have been reported so far.
static VERDICTS: Mutex<Vec<(String, bool)>> = Mutex::new(Vec::new());

/// Begins a row of the design's table of figures.
pub(crate) fn row(number: u32, what: &str) {
    println!("\n{number}  {what}");
}

/// A cost, for orientation, and which guarantees it comes without: `""` for none.
pub(crate) fn nanos(what: &str, nanos: &Spread, lacks: &str) {
    let lacks = if lacks.is_empty() { String::new() } else { format!("no {lacks}") };
    println!("    {what:<62} {:>9.1} ns {:<22} {lacks}", nanos.median, nanos.shown(1));
}

/// A number of bytes, for orientation.
pub(crate) fn bytes(what: &str, bytes: f64) {
    println!("    {what:<62} {bytes:>9.0} bytes");
}

/// The goal of a figure.
pub(crate) enum Goal {
    AtMost { goal: f64, aim: f64 },
    Below(f64),
}

impl Goal {
    pub(crate) const fn at_most(goal: f64) -> Self {
        Self::AtMost { goal, aim: goal }
    }

    fn is_met_by(&self, value: f64) -> bool {
        match self {
            Self::AtMost { goal, .. } => value <= *goal,
            Self::Below(limit) => value < *limit,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::AtMost { goal, aim } if goal == aim => format!("<= {goal}"),
            Self::AtMost { goal, aim } => format!("<= {goal}, aim {aim}"),
            Self::Below(limit) => format!("< {limit}"),
        }
    }
}

/// A ratio, for orientation.
pub(crate) fn ratio_alone(what: &str, ratio: &Spread) {
    println!("    {what:<62} {:>9.3}    {}", ratio.median, ratio.shown(3));
}

/// A ratio and its goal.
pub(crate) fn ratio(what: &str, ratio: &Spread, goal: &Goal) {
    let met = goal.is_met_by(ratio.median);
    let value = format!("{:>9.3}    {:<22}", ratio.median, ratio.shown(3));
    verdict(what, &value, met, goal);
}

/// A number that can be counted and its goal.
pub(crate) fn count(what: &str, count: usize, goal: &Goal) {
    let met = goal.is_met_by(count as f64);
    verdict(what, &format!("{count:>9}    {:<22}", ""), met, goal);
}

fn verdict(what: &str, value: &str, met: bool, goal: &Goal) {
    let said = if met { "met" } else { "NOT MET" };
    println!("  * {what:<62} {value} goal {}: {said}", goal.shown());
    VERDICTS.lock().unwrap_or_else(PoisonError::into_inner).push((what.to_owned(), met));
}

/// How many goals are met, and which are not.
pub(crate) fn summary() {
    let verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if verdicts.is_empty() {
        return;
    }
    let met = verdicts.iter().filter(|(_, met)| *met).count();
    println!("\n{met} of {} goals met", verdicts.len());
    for (what, _) in verdicts.iter().filter(|(_, met)| !met) {
        println!("  NOT MET: {what}");
    }
}
