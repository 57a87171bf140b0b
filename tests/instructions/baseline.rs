//! The last accepted counts, stored in the repository.

use std::{collections::BTreeMap, fmt, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

const HEAD: &str = "\
# Instructions and locked operations of one unit of work, as counted by callgrind. Written by
# `cargo run --release -p supervised-instructions -- --bless`.
";

/// What one unit takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) locked: f64,
}

/// By case.
pub(crate) type Costs = BTreeMap<String, Cost>;

pub(crate) struct Baseline {
    /// The tools that produced them.
    pub(crate) compiler: String,
    pub(crate) counts: Costs,
}

impl Baseline {
    /// Keeps the smaller counts of each case.
    pub(crate) fn least_of(&mut self, again: Costs) {
        for (name, cost) in again {
            let least = self.counts.entry(name).or_insert(cost);
            least.instructions = least.instructions.min(cost.instructions);
            least.locked = least.locked.min(cost.locked);
        }
    }
}

pub(crate) fn read() -> Baseline {
    parse(&fs::read_to_string(FILE).expect("the baseline is readable"))
}

pub(crate) fn write(baseline: &Baseline) {
    fs::write(FILE, format!("{HEAD}{baseline}")).expect("the baseline is writable");
}

fn parse(text: &str) -> Baseline {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let compiler = lines.next().expect("the baseline says which compiler it is of").to_owned();
    let counts = lines.map(|line| {
        let mut words = line.split_whitespace();
        let mut next = || words.next().expect("a line has a name and two counts");
        let name = next().to_owned();
        let instructions = next().parse().expect("instructions are a whole number");
        let locked = next().parse().expect("locked operations are a number");
        (name, Cost { instructions, locked })
    });
    Baseline { compiler, counts: counts.collect() }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.compiler)?;
        self.counts.iter().try_for_each(|(name, Cost { instructions, locked })| {
            writeln!(f, "{name:<20} {instructions:>8} {locked:>8.2}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs<const N: usize>(costs: [(&str, u64, f64); N]) -> Costs {
        let cost = |(name, instructions, locked): (&str, _, _)| {
            (name.to_owned(), Cost { instructions, locked })
        };
        costs.map(cost).into()
    }

    #[test]
    fn the_least_counts_are_kept() {
        let counts = costs([("a", 7, 1.0), ("b", 2, 3.0)]);
        let mut baseline = Baseline { compiler: String::new(), counts };
        baseline.least_of(costs([("a", 5, 2.0), ("b", 3, 2.5)]));
        assert_eq!(baseline.counts, costs([("a", 5, 1.0), ("b", 2, 2.5)]));
    }

    #[test]
    fn a_written_baseline_can_be_read() {
        let counts = costs([("a", 7, 0.0), ("a_longer_name", 12_345_678, 42.25)]);
        let written = Baseline { compiler: "rustc 1.2.3 (4 5), host".to_owned(), counts };
        let read = parse(&format!("{HEAD}{written}"));
        assert_eq!((read.compiler, read.counts), (written.compiler, written.counts));
    }
}
