//! The order in which the tasks of a schedule run, drawn from its seed.
//!
//! Half of the seeds draw each step. The current task then continues with a probability that depends on the seed,
//! from "only if no other can" to "mostly". The other half are PCT (Burckhardt and others, 2010): a task continues
//! until it waits, or until its priority drops below all others at one of a few predetermined steps.

use std::collections::HashMap;

use shuttle::scheduler::{Task, TaskId};

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

pub(crate) enum Order {
    /// A task continues in this many of eight cases.
    Drawn { stays: usize },
    /// By priority, the highest first.
    Ranked { ranks: HashMap<TaskId, i64>, turns: Vec<usize>, lowest: i64 },
}

impl Order {
    /// For a schedule of about this many steps.
    pub(crate) fn draw(random: &mut Random, steps: usize) -> Self {
        match random.below(2) {
            0 => Self::Drawn { stays: [0, 4, 6, 7][random.below(4)] },
            _ => {
                let turns = (0..random.below(5)).map(|_| random.below(steps)).collect();
                Self::Ranked { ranks: HashMap::new(), turns, lowest: 0 }
            }
        }
    }

    pub(crate) fn next(
        &mut self,
        random: &mut Random,
        step: usize,
        ready: &[&Task],
        current: Option<TaskId>,
        yields: bool,
    ) -> TaskId {
        match self {
            Self::Drawn { stays } => {
                let goes_on = current.filter(|id| ready.iter().any(|task| task.id() == *id));
                if let Some(id) = goes_on.filter(|_| !yields && random.below(8) < *stays) {
                    return id;
                }
                ready[random.below(ready.len())].id()
            }
            Self::Ranked { ranks, turns, lowest } => {
                for task in ready {
                    ranks.entry(task.id()).or_insert_with(|| (random.next() >> 2) as i64);
                }
                if let Some(id) = current.filter(|_| yields || turns.contains(&step)) {
                    *lowest -= 1;
                    ranks.insert(id, *lowest);
                }
                let first = ready.iter().max_by_key(|task| ranks[&task.id()]);
                first.expect("at least one task is ready").id()
            }
        }
    }
}
