//! Compares counts with those of the baseline.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Tolerated difference of a count, in per cent.
const TOLERANCE: f64 = 5.0;

type Counts = BTreeMap<String, u64>;

/// The verdict on a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    /// An improvement: the baseline must be updated, since it is too loose otherwise.
    Fewer,
    More,
    /// In one of the two only: nothing checks it.
    Unpaired,
}

fn judge(now: Option<u64>, accepted: Option<u64>) -> Verdict {
    match change(now, accepted) {
        None => Verdict::Unpaired,
        Some(change) if change > TOLERANCE => Verdict::More,
        Some(change) if change < -TOLERANCE => Verdict::Fewer,
        Some(_) => Verdict::Same,
    }
}

/// In per cent.
fn change(now: Option<u64>, accepted: Option<u64>) -> Option<f64> {
    let (now, accepted) = (now? as f64, accepted? as f64);
    Some((now - accepted) / accepted * 100.0)
}

pub(crate) struct Comparison(BTreeMap<String, (Option<u64>, Option<u64>)>);

impl Comparison {
    pub(crate) fn of(now: &Counts, accepted: &Counts) -> Self {
        let names: BTreeSet<&String> = now.keys().chain(accepted.keys()).collect();
        let pair = |name| (now.get(name).copied(), accepted.get(name).copied());
        Self(names.into_iter().map(|name| (name.clone(), pair(name))).collect())
    }

    fn has(&self, verdict: Verdict) -> bool {
        self.0.values().any(|(now, accepted)| judge(*now, *accepted) == verdict)
    }

    pub(crate) fn fails(&self) -> bool {
        self.has(Verdict::More) || self.has(Verdict::Unpaired)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
        writeln!(f, "{:<20} {:>8} {:>8} {:>9}", "instructions", "now", "baseline", "change")?;
        for (name, (now, accepted)) in &self.0 {
            let note = match judge(*now, *accepted) {
                Verdict::Same => "",
                Verdict::Fewer => "  fewer",
                Verdict::More => "  TOO MANY",
                Verdict::Unpaired => "  NOT IN BOTH",
            };
            let change = change(*now, *accepted).map(|change| format!("{change:+.1} %"));
            let change = change.unwrap_or_default();
            writeln!(f, "{name:<20} {:>8} {:>8} {change:>9}{note}", count(*now), count(*accepted))?;
        }
        if self.fails() {
            writeln!(
                f,
                "\nFAILED: a case takes over {TOLERANCE} % more, or has no pair. Accepted knowingly:"
            )?;
        } else if self.has(Verdict::Fewer) {
            writeln!(
                f,
                "\nover {TOLERANCE} % fewer; let the baseline follow, so that it stays so:"
            )?;
        } else {
            return Ok(());
        }
        write!(f, "  cargo run --release -p supervised-instructions -- --bless")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_tolerance_fails_and_fewer_does_not() {
        let of = |now| judge(Some(now), Some(1000));
        assert_eq!(
            [950, 949, 1000, 1050, 1051].map(of),
            [Verdict::Same, Verdict::Fewer, Verdict::Same, Verdict::Same, Verdict::More]
        );
    }

    #[test]
    fn a_case_without_a_baseline_and_one_that_is_gone_fail() {
        let (one, two) = (Counts::from([("one".into(), 1)]), Counts::from([("two".into(), 1)]));
        assert!(Comparison::of(&one, &Counts::new()).fails());
        assert!(Comparison::of(&one, &two).fails());
        assert!(!Comparison::of(&one, &one).fails());
    }
}
