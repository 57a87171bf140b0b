//! Instructions and locked operations of each contender, beside its time.
//!
//! The program runs itself under callgrind, where each contest has one short round. The counts of the round, divided by
//! its units, are those of a unit; they include the start and the end of a round (a runtime is entered, a group is
//! joined). Valgrind's processor has no counter that `quanta` trusts: each reading of the clock is a call of the
//! system's clock there, for every contender.

use std::{
    collections::HashMap,
    ops::{Div, Sub},
};

use testkit::callgrind;

use crate::settings::{COUNTED, Settings};

/// The groups with contests whose contenders run on one thread, or on any number of them.
const GROUPS: [&str; 4] = ["inline", "fan-out", "spawn", "shield"];

/// What one unit takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) instructions: f64,
    pub(crate) locked: f64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            instructions: self.instructions - other.instructions,
            locked: self.locked - other.locked,
        }
    }
}

impl Div for Counts {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self {
            instructions: self.instructions / other.instructions,
            locked: self.locked / other.locked,
        }
    }
}

/// The counts of all contenders, by contest and name.
#[derive(Default)]
pub(crate) struct Counted(HashMap<String, Counts>);

impl Counted {
    /// Counts the groups that `settings` want. Empty without valgrind, and in the counted process.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut arguments: Vec<_> =
            GROUPS.into_iter().filter(|&group| settings.wants(group)).collect();
        if settings.counted || arguments.is_empty() {
            return Self(HashMap::new());
        }
        arguments.push(COUNTED);
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        let Some(counted) = callgrind::count(&arguments) else {
            println!("NOT COUNTED: there is no `valgrind` for instructions and locked operations");
            return Self(HashMap::new());
        };
        let said: Vec<_> =
            counted.stdout.lines().filter_map(|line| line.strip_prefix(SAID)).collect();
        assert_eq!(counted.parts.len(), 2 * said.len(), "callgrind writes a count at each mark");
        // Each round is between two marks; a part between two rounds follows it.
        let rounds = counted.parts.iter().step_by(2);
        let counts = said.into_iter().zip(rounds).map(|(said, round)| {
            let (units, contender) = said.split_once(' ').expect("the units are before the name");
            let units: f64 = units.parse().expect("the units are a number");
            let counts = Counts {
                instructions: round.instructions as f64 / units,
                locked: round.locked as f64 / units,
            };
            (contender.to_owned(), counts)
        });
        // The last round of each replaces the one that warms up.
        Self(counts.collect())
    }

    pub(crate) fn get(&self, contest: &str, contender: &str) -> Option<Counts> {
        self.0.get(&full_name(contest, contender)).copied()
    }
}

/// How a line of the counted process begins that says which round has ended.
const SAID: &str = "counted: ";

/// Runs one round between two marks.
pub(crate) fn between_marks(round: impl FnOnce()) {
    callgrind::mark();
    round();
    callgrind::mark();
}

/// Says which round has ended, in the counted process.
pub(crate) fn say(contest: &str, contender: &str, units: u64) {
    println!("{SAID}{units} {}", full_name(contest, contender));
}

fn full_name(contest: &str, contender: &str) -> String {
    format!("{contest} / {contender}")
}
