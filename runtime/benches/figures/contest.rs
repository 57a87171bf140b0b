//! Contenders that take turns, and what their times say.

use std::time::Instant;

/// One side of a contest: a name, and what it does in one round.
pub(crate) struct Contender<'a> {
    name: &'static str,
    round: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, round: impl FnMut() + 'a) -> Self {
        Self { name, round: Box::new(round) }
    }
}

/// Nanoseconds for one unit of work, by contender and round.
pub(crate) struct Times {
    names: Vec<&'static str>,
    rounds: Vec<Vec<f64>>,
}

/// Runs all contenders in each of the rounds, after one that does not count. The order is turned around
/// from round to round, so that none always follows the same one.
pub(crate) fn hold(mut contenders: Vec<Contender<'_>>, rounds: usize, units: u64) -> Times {
    let mut times = Times {
        names: contenders.iter().map(|contender| contender.name).collect(),
        rounds: Vec::with_capacity(rounds),
    };
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    for round in 0..=rounds {
        let mut taken = vec![0.0; contenders.len()];
        for &at in &order {
            let start = Instant::now();
            (contenders[at].round)();
            taken[at] = start.elapsed().as_nanos() as f64 / units as f64;
        }
        order.reverse();
        if round > 0 {
            times.rounds.push(taken);
        }
    }
    times
}

impl Times {
    fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = f64> + 'a {
        let at = self.names.iter().position(|other| *other == name);
        let at = at.expect("the name is that of a contender");
        self.rounds.iter().map(move |round| round[at])
    }

    /// One contender's nanoseconds.
    pub(crate) fn nanos(&self, name: &str) -> Spread {
        Spread::of(self.of(name))
    }

    /// One contender's nanoseconds over those of another, round by round.
    pub(crate) fn over(&self, name: &str, bare: &str) -> Spread {
        Spread::of(self.of(name).zip(self.of(bare)).map(|(name, bare)| name - bare))
    }

    /// The ratio of two contenders, round by round.
    pub(crate) fn ratio(&self, name: &str, reference: &str) -> Spread {
        Spread::of(self.of(name).zip(self.of(reference)).map(|(name, other)| name / other))
    }

    /// The ratio of what two contenders add to a third one, round by round.
    pub(crate) fn ratio_over(&self, name: &str, reference: &str, bare: &str) -> Spread {
        let pairs = self.of(name).zip(self.of(reference)).zip(self.of(bare));
        Spread::of(pairs.map(|((name, other), bare)| (name - bare) / (other - bare)))
    }
}

/// The middle of some values, and where most of them are.
pub(crate) struct Spread {
    pub(crate) median: f64,
    p10: f64,
    p90: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        Self { median: at(0.5), p10: at(0.1), p90: at(0.9) }
    }
}

/// A line of nanoseconds, for orientation.
pub(crate) fn print_nanos(what: &str, nanos: &Spread) {
    println!("    {what:<58} {:>8.1} ns  ({:.1} .. {:.1})", nanos.median, nanos.p10, nanos.p90);
}

/// What a ratio is to be.
pub(crate) enum Goal {
    AtMost { goal: f64, aim: f64 },
    Below(f64),
}

/// A line with a ratio and its goal.
pub(crate) fn print_ratio(what: &str, ratio: &Spread, goal: &Goal) {
    let (met, goal) = match goal {
        Goal::AtMost { goal, aim } if goal == aim => (ratio.median <= *goal, format!("<= {goal}")),
        Goal::AtMost { goal, aim } => (ratio.median <= *goal, format!("<= {goal}, aim {aim}")),
        Goal::Below(limit) => (ratio.median < *limit, format!("< {limit}")),
    };
    let verdict = if met { "met" } else { "NOT MET" };
    println!(
        "  * {what:<58} {:>8.3}     ({:.3} .. {:.3})  goal {goal}: {verdict}",
        ratio.median, ratio.p10, ratio.p90
    );
}
