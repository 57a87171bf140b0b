//! The duration of the builds, per function.

use std::fmt;

use super::crates::{CRATES, Crates};

const BARE: usize = 0;
const SUPERVISED: usize = 1;

type Round = [f64; CRATES.len()];

/// Seconds of one kind of build, by round and crate.
pub(crate) struct Times {
    title: &'static str,
    clock: &'static str,
    functions: usize,
    rounds: Vec<Round>,
}

impl Times {
    pub(crate) fn new(title: &'static str, clock: &'static str, functions: usize) -> Self {
        Self { title, clock, functions, rounds: Vec::new() }
    }

    pub(crate) fn add(&mut self, taken: Round) {
        self.rounds.push(taken);
    }

    fn each(&self, of: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(of))
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added = |round: &Round, at: usize| round[at] - round[BARE];
        writeln!(f, "\ncargo {}, {}", self.title, self.clock)?;
        writeln!(f, "  {:<22} {} s in all", CRATES[BARE].name, self.each(|round| round[BARE]))?;
        for (at, kind) in CRATES.iter().enumerate().skip(SUPERVISED) {
            let millis = self.each(|round| added(round, at) * 1000.0 / self.functions as f64);
            writeln!(f, "  {:<22} {millis} ms a function, over bare", kind.name)?;
        }
        for (at, kind) in CRATES.iter().enumerate().skip(SUPERVISED + 1) {
            if self.rounds.iter().any(|round| added(round, at) <= 0.0) {
                writeln!(
                    f,
                    "  * {:<20} not reported: bare took as long in a round",
                    ratio_to(kind.name)
                )?;
                continue;
            }
            let ratio = self.each(|round| added(round, SUPERVISED) / added(round, at));
            writeln!(f, "  * {:<20} {ratio} {}", ratio_to(kind.name), met(ratio.median))?;
        }
        Ok(())
    }
}

fn ratio_to(name: &str) -> String {
    format!("to {name}")
}

fn met(ratio: f64) -> &'static str {
    if ratio <= 1.0 { "goal <= 1: met" } else { "goal <= 1: NOT MET" }
}

/// The median and the range.
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let most = *values.last().expect("there is at least one round");
        Self { median: values[values.len() / 2], least: values[0], most }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.2}  ({:.2} .. {:.2})", self.median, self.least, self.most)
    }
}

/// Sizes of the stripped release programs, in bytes, by crate.
pub(crate) struct Sizes([u64; CRATES.len()], usize);

impl Sizes {
    pub(crate) fn of(crates: &Crates, functions: usize) -> Self {
        Self(CRATES.map(|kind| crates.size(kind.name)), functions)
    }

    fn added(&self, at: usize) -> f64 {
        self.0[at] as f64 - self.0[BARE] as f64
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nsize of the release program, stripped")?;
        writeln!(f, "  {:<22} {:>7} KiB in all", CRATES[BARE].name, self.0[BARE] / 1024)?;
        for (at, kind) in CRATES.iter().enumerate().skip(SUPERVISED) {
            let bytes = self.added(at) / self.1 as f64;
            writeln!(f, "  {:<22} {bytes:>7.0} bytes a function, over bare", kind.name)?;
        }
        for (at, kind) in CRATES.iter().enumerate().skip(SUPERVISED + 1) {
            let ratio = self.added(SUPERVISED) / self.added(at);
            writeln!(f, "  * {:<20} {ratio:>7.2}  {}", ratio_to(kind.name), met(ratio))?;
        }
        Ok(())
    }
}
