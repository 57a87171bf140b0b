//! A model of the documented pool.

use std::collections::VecDeque;

use crate::support::{Ends, Work};
use testkit::End;

#[derive(Clone, Copy)]
pub(crate) enum Waits {
    Spawn(usize, Work),
    Reserve,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) limit: usize,
    pub(crate) running: Vec<(usize, End)>,
    pub(crate) reserved: usize,
    pub(crate) waiting: VecDeque<Waits>,
    pub(crate) ends: Ends,
}

impl Model {
    pub(crate) fn spawns_that_wait(&self) -> usize {
        self.waiting.iter().filter(|who| matches!(who, Waits::Spawn(..))).count()
    }

    fn is_full(&self) -> bool {
        self.running.len() + self.reserved >= self.limit || !self.waiting.is_empty()
    }

    pub(crate) fn wait(&mut self, who: Waits) {
        self.waiting.push_back(who);
        self.start();
    }

    fn start(&mut self) {
        while self.running.len() + self.reserved < self.limit {
            match self.waiting.pop_front() {
                Some(Waits::Spawn(number, work)) => self.run(number, work),
                Some(Waits::Reserve) => self.reserved += 1,
                None => return,
            }
        }
    }

    fn run(&mut self, number: usize, work: Work) {
        match work {
            Work::Short(_) => self.ends.add(End::Ok),
            Work::Gated(end) => self.running.push((number, end)),
        }
    }

    pub(crate) fn try_spawn(&mut self, number: usize, work: Work) -> bool {
        let takes = !self.is_full();
        if takes {
            self.run(number, work);
        }
        takes
    }

    pub(crate) fn use_slot(&mut self, number: usize, work: Work) {
        self.reserved -= 1;
        self.run(number, work);
        self.start();
    }

    pub(crate) fn release(&mut self) {
        self.reserved -= 1;
        self.start();
    }

    pub(crate) fn open(&mut self, place: usize) -> usize {
        let (number, end) = self.running.remove(place);
        self.ends.add(end);
        self.start();
        number
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.start();
    }

    /// Waiting reservations are refused. A waiting spawn counts as a cancelled run.
    pub(crate) fn close(&mut self) {
        self.ends.stopped += self.spawns_that_wait();
        self.waiting.clear();
    }

    pub(crate) fn stop(&mut self) {
        self.ends.stopped += self.running.len();
        self.running.clear();
    }
}
