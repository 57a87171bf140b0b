//! Compares counts with those of the baseline.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::baseline::{Cost, Costs};

/// Tolerated difference of instructions, in per cent.
const TOLERANCE: f64 = 5.0;

/// Tolerated difference of the locked operations of a unit. Rare events, such as a full queue, are a fraction of one.
const LOCKED_TOLERANCE: f64 = 0.5;

/// The verdict on a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Same,
    /// An improvement: the baseline must be updated, since it is too loose otherwise.
    Fewer,
    More,
    /// In one of the two only: nothing checks it.
    Unpaired,
}

/// More of one of the two outweighs fewer of the other.
fn judge(now: Option<Cost>, accepted: Option<Cost>) -> Verdict {
    let (Some(now), Some(accepted)) = (now, accepted) else { return Verdict::Unpaired };
    let instructions = verdict(change(now, accepted), TOLERANCE);
    let locked = verdict(now.locked - accepted.locked, LOCKED_TOLERANCE);
    instructions.max(locked)
}

fn verdict(change: f64, tolerance: f64) -> Verdict {
    match change {
        change if change > tolerance => Verdict::More,
        change if change < -tolerance => Verdict::Fewer,
        _ => Verdict::Same,
    }
}

/// Of the instructions, in per cent.
fn change(now: Cost, accepted: Cost) -> f64 {
    let (now, accepted) = (now.instructions as f64, accepted.instructions as f64);
    (now - accepted) / accepted * 100.0
}

pub(crate) struct Comparison(BTreeMap<String, (Option<Cost>, Option<Cost>)>);

impl Comparison {
    pub(crate) fn of(now: &Costs, accepted: &Costs) -> Self {
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
        let [instructions, locked] = [
            |cost: Option<Cost>| cost.map_or("-".to_owned(), |cost| cost.instructions.to_string()),
            |cost: Option<Cost>| cost.map_or("-".to_owned(), |cost| format!("{:.2}", cost.locked)),
        ];
        writeln!(
            f,
            "{:<20} {:>12} {:>8} {:>9} {:>8} {:>8} {:>7}",
            "of one unit", "instructions", "baseline", "change", "locked", "baseline", "change"
        )?;
        for (name, (now, accepted)) in &self.0 {
            let note = match judge(*now, *accepted) {
                Verdict::Same => "",
                Verdict::Fewer => "  fewer",
                Verdict::More => "  TOO MANY",
                Verdict::Unpaired => "  NOT IN BOTH",
            };
            let changes = now.zip(*accepted).map(|(now, accepted)| {
                let of_locked = now.locked - accepted.locked;
                (format!("{:+.1} %", change(now, accepted)), format!("{of_locked:+.2}"))
            });
            let (change, locked_change) = changes.unwrap_or_default();
            writeln!(
                f,
                "{name:<20} {:>12} {:>8} {change:>9} {:>8} {:>8} {locked_change:>7}{note}",
                instructions(*now),
                instructions(*accepted),
                locked(*now),
                locked(*accepted),
            )?;
        }
        if self.fails() {
            writeln!(
                f,
                "\nFAILED: a case takes over {TOLERANCE} % more instructions, over {LOCKED_TOLERANCE} more locked operations, or has no pair. Accepted knowingly:"
            )?;
        } else if self.has(Verdict::Fewer) {
            writeln!(f, "\nfewer than the baseline; let it follow, so that it stays so:")?;
        } else {
            return Ok(());
        }
        write!(f, "  cargo run --release -p supervised-instructions -- --bless")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(instructions: u64, locked: f64) -> Option<Cost> {
        Some(Cost { instructions, locked })
    }

    #[test]
    fn more_than_the_tolerance_fails_and_fewer_does_not() {
        let of = |now| judge(cost(now, 2.0), cost(1000, 2.0));
        assert_eq!(
            [950, 949, 1000, 1050, 1051].map(of),
            [Verdict::Same, Verdict::Fewer, Verdict::Same, Verdict::Same, Verdict::More]
        );
    }

    #[test]
    fn more_locked_operations_fail_and_fewer_do_not() {
        let of = |now| judge(cost(1000, now), cost(1000, 2.0));
        assert_eq!(
            [1.4, 1.5, 2.5, 2.6].map(of),
            [Verdict::Fewer, Verdict::Same, Verdict::Same, Verdict::More]
        );
    }

    #[test]
    fn more_of_one_count_outweighs_fewer_of_the_other() {
        assert_eq!(judge(cost(100, 3.0), cost(1000, 2.0)), Verdict::More);
        assert_eq!(judge(cost(2000, 0.0), cost(1000, 2.0)), Verdict::More);
    }

    #[test]
    fn a_case_without_a_baseline_and_one_that_is_gone_fail() {
        let costs =
            |name: &str| Costs::from([(name.to_owned(), Cost { instructions: 1, locked: 1.0 })]);
        let (one, two) = (costs("one"), costs("two"));
        assert!(Comparison::of(&one, &Costs::new()).fails());
        assert!(Comparison::of(&one, &two).fails());
        assert!(!Comparison::of(&one, &one).fails());
    }
}
