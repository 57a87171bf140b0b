//! The last accepted counts, stored in the repository.

use std::{collections::BTreeMap, fmt, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

const HEAD: &str = "\
# Instructions of one unit of work, as counted by callgrind. Written by
# `cargo run --release -p supervised-instructions -- --bless`.
";

pub(crate) struct Baseline {
    /// The tools that produced them.
    pub(crate) compiler: String,
    /// By case.
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Baseline {
    /// Keeps the smaller count of each case.
    pub(crate) fn least_of(&mut self, again: BTreeMap<String, u64>) {
        for (name, count) in again {
            self.counts.entry(name).and_modify(|least| *least = count.min(*least)).or_insert(count);
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
        let (name, count) = line.split_once(' ').expect("a line has a name and a count");
        (name.to_owned(), count.trim().parse().expect("a count is a number"))
    });
    Baseline { compiler, counts: counts.collect() }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.compiler)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{name:<20} {count:>8}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_count_is_kept() {
        let counts = BTreeMap::from([("a".to_owned(), 7), ("b".to_owned(), 2)]);
        let mut baseline = Baseline { compiler: String::new(), counts };
        baseline.least_of(BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 3)]));
        assert_eq!(baseline.counts.into_values().collect::<Vec<_>>(), [5, 2]);
    }

    #[test]
    fn a_written_baseline_can_be_read() {
        let counts =
            BTreeMap::from([("a".to_owned(), 7), ("a_longer_name".to_owned(), 12_345_678)]);
        let written = Baseline { compiler: "rustc 1.2.3 (4 5), host".to_owned(), counts };
        let read = parse(&format!("{HEAD}{written}"));
        assert_eq!((read.compiler, read.counts), (written.compiler, written.counts));
    }
}
