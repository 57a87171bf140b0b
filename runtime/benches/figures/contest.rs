//! Contenders that take turns, and what their times and counts say.

use std::time::Instant;

use crate::{
    counts::{self, Counts},
    report,
    settings::Settings,
    spread::{Ratio, Spread},
};

/// One side of a contest: what it does in one round, and which guarantees it does it without.
pub(crate) struct Contender<'a> {
    name: &'static str,
    lacks: &'static str,
    round: Box<dyn FnMut() + 'a>,
    tidy: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, lacks: &'static str, round: impl FnMut() + 'a) -> Self {
        Self { name, lacks, round: Box::new(round), tidy: Box::new(|| ()) }
    }

    /// Work after each round, which is not timed.
    pub(crate) fn tidied_by(mut self, tidy: impl FnMut() + 'a) -> Self {
        self.tidy = Box::new(tidy);
        self
    }
}

/// Nanoseconds for one unit of work, by contender and round.
pub(crate) struct Times {
    contenders: Vec<Known>,
    rounds: Vec<Vec<f64>>,
}

/// What does not differ between the rounds.
struct Known {
    name: &'static str,
    lacks: &'static str,
    counts: Option<Counts>,
}

/// Runs all contenders in each of the rounds, after one that does not count. The order is turned around
/// from round to round, so that none always follows the same one.
///
/// `contest` names it for the counts: no other one of the program has its name.
pub(crate) fn hold(
    settings: &Settings,
    contest: &str,
    mut contenders: Vec<Contender<'_>>,
    rounds: usize,
    units: u64,
) -> Times {
    let rounds = if settings.counted { 1 } else { rounds };
    let known = contenders.iter().map(|&Contender { name, lacks, .. }| Known {
        name,
        lacks,
        counts: settings.counts.get(contest, name),
    });
    let mut times = Times { contenders: known.collect(), rounds: Vec::with_capacity(rounds) };
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    for round in 0..=rounds {
        let mut taken = vec![0.0; contenders.len()];
        for &at in &order {
            let one = &mut contenders[at];
            counts::between_marks(|| {
                let start = Instant::now();
                (one.round)();
                taken[at] = start.elapsed().as_nanos() as f64 / units as f64;
            });
            (one.tidy)();
            if settings.counted {
                counts::say(contest, one.name, units);
            }
        }
        order.reverse();
        if round > 0 {
            times.rounds.push(taken);
        }
    }
    times
}

impl Times {
    fn known(&self, name: &str) -> &Known {
        &self.contenders[self.place(name)]
    }

    fn place(&self, name: &str) -> usize {
        let at = self.contenders.iter().position(|other| other.name == name);
        at.expect("the name is that of a contender")
    }

    fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = f64> + 'a {
        let at = self.place(name);
        self.rounds.iter().map(move |round| round[at])
    }

    /// One contender's nanoseconds.
    pub(crate) fn nanos(&self, name: &str) -> Spread {
        Spread::of(self.of(name))
    }

    /// The counts that one contender adds to another.
    pub(crate) fn counts_over(&self, name: &str, bare: &str) -> Option<Counts> {
        Some(self.known(name).counts? - self.known(bare).counts?)
    }

    /// The ratio of two contenders, round by round.
    pub(crate) fn ratio(&self, name: &str, reference: &str) -> Ratio {
        let time =
            Spread::of(self.of(name).zip(self.of(reference)).map(|(name, other)| name / other));
        let counts = self.known(name).counts.zip(self.known(reference).counts);
        Ratio { time, counts: counts.map(|(name, other)| name / other) }
    }

    /// The ratio of the time that two contenders add to a third one, round by round.
    pub(crate) fn ratio_over(&self, name: &str, reference: &str, bare: &str) -> Ratio {
        let pairs = self.of(name).zip(self.of(reference)).zip(self.of(bare));
        let time = Spread::of(pairs.map(|((name, other), bare)| (name - bare) / (other - bare)));
        let counts = self.counts_over(name, bare).zip(self.counts_over(reference, bare));
        Ratio { time, counts: counts.map(|(name, other)| name / other) }
    }

    /// How many times more the first pair's ratio is than the second one's, round by round.
    pub(crate) fn ratio_of_ratios(&self, [a, b]: [&str; 2], [c, d]: [&str; 2]) -> Ratio {
        let pairs = self.of(a).zip(self.of(b)).zip(self.of(c).zip(self.of(d)));
        Ratio { time: Spread::of(pairs.map(|((a, b), (c, d))| a / b / (c / d))), counts: None }
    }

    /// A line of one contender's nanoseconds.
    pub(crate) fn print(&self, name: &str, what: &str) {
        let Known { lacks, counts, .. } = *self.known(name);
        report::nanos(what, &self.nanos(name), counts, lacks);
    }

    /// The same over those of another, round by round.
    pub(crate) fn print_over(&self, name: &str, bare: &str, what: &str) {
        let over = Spread::of(self.of(name).zip(self.of(bare)).map(|(name, bare)| name - bare));
        report::nanos(what, &over, self.counts_over(name, bare), self.known(name).lacks);
    }
}
