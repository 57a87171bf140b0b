//! The lines of the report: a cost and what its guarantees lack, a ratio and its goal.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use crate::{
    counts::Counts,
    spread::{Ratio, Spread},
};

/// What has been reported so far.
static VERDICTS: Mutex<Vec<(String, Verdict)>> = Mutex::new(Vec::new());

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    NotMet,
    /// It needs a tool that is not there.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::NotMet => "NOT MET",
            Self::Unknown => "NOT COUNTED",
        })
    }
}

/// Begins a row of the table of `docs/PERFORMANCE.md`.
pub(crate) fn row(number: u32, what: &str) {
    println!("\n{number}  {what}");
}

/// A cost, for orientation, and which guarantees it comes without: `""` for none.
pub(crate) fn nanos(what: &str, nanos: &Spread, counts: Option<Counts>, lacks: &str) {
    let lacks = if lacks.is_empty() { String::new() } else { format!("no {lacks}") };
    let counts = counts.map(|Counts { instructions, locked }| {
        format!("{instructions:>7.0} instructions {locked:>6.1} locked ")
    });
    println!(
        "    {what:<62} {:>9.1} ns {:<22} {}{lacks}",
        nanos.median,
        nanos.shown(1),
        counts.unwrap_or_default()
    );
}

/// A number of bytes, for orientation.
pub(crate) fn bytes(what: &str, bytes: f64) {
    println!("    {what:<62} {bytes:>9.0} bytes");
}

/// The goal of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl Goal {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(goal) => value <= goal,
            Self::AtLeast(goal) => value >= goal,
            Self::Below(limit) => value < limit,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(goal) => write!(f, "<= {goal}"),
            Self::AtLeast(goal) => write!(f, ">= {goal}"),
            Self::Below(limit) => write!(f, "< {limit}"),
        }
    }
}

/// A ratio, for orientation.
pub(crate) fn ratio_alone(what: &str, ratio: &Ratio) {
    println!("    {what:<62} {}", shown(ratio).trim_end());
}

/// A ratio and its goal, which is one of the time.
pub(crate) fn ratio(what: &str, ratio: &Ratio, goal: Goal) {
    verdict(what, &shown(ratio), Some(ratio.time.median), goal);
}

fn shown(Ratio { time, counts }: &Ratio) -> String {
    let counts = counts.map(|Counts { instructions, locked }| match locked.is_finite() {
        true => format!("instructions {instructions:.2}, locked {locked:.2} "),
        false => format!("instructions {instructions:.2} "),
    });
    format!("{:>9.3}    {:<22} {}", time.median, time.shown(3), counts.unwrap_or_default())
}

/// A number that is the same each time, and its goal; `None` if nothing could count it.
pub(crate) fn count(what: &str, count: Option<f64>, goal: Goal) {
    let value = count.map_or("-".to_owned(), |count| format!("{count:.0}"));
    verdict(what, &format!("{value:>9}    {:<22} ", ""), count, goal);
}

/// A duration and its goal, in the same unit.
pub(crate) fn duration(what: &str, duration: &Spread, unit: &str, goal: Goal) {
    let value = format!("{:>9.2} {unit} {:<22} ", duration.median, duration.shown(2));
    verdict(what, &value, Some(duration.median), goal);
}

fn verdict(what: &str, shown: &str, value: Option<f64>, goal: Goal) {
    let verdict = match value.map(|value| goal.is_met_by(value)) {
        Some(true) => Verdict::Met,
        Some(false) => Verdict::NotMet,
        None => Verdict::Unknown,
    };
    println!("  * {what:<62} {shown}goal {goal}: {verdict}");
    VERDICTS.lock().unwrap_or_else(PoisonError::into_inner).push((what.to_owned(), verdict));
}

/// How many goals are met, and which are not.
pub(crate) fn summary() {
    let verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if verdicts.is_empty() {
        return;
    }
    let met = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Met).count();
    println!("\n{met} of {} goals met", verdicts.len());
    for (what, verdict) in verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Met) {
        println!("  {verdict}: {what}");
    }
}
