//! How the jobs ended: as errors, and as counters.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use tokio_supervised::{Outcome, Panic, TaskError, stats};

/// The columns of the table, after the number of jobs.
const OUTCOMES: [Outcome; 3] = [Outcome::Ok, Outcome::Panicked, Outcome::Cancelled];

/// The end of every job that was started, in the order of the jobs.
pub(crate) struct Report(Vec<Result<u64, TaskError>>);

impl Report {
    /// If there are fewer than `jobs`, the last end stands for the jobs that were not started.
    pub(crate) fn new(mut ends: Vec<Result<u64, TaskError>>, jobs: u64) -> Self {
        if (ends.len() as u64) < jobs {
            ends.pop();
        }
        Self(ends)
    }

    /// As errors: what every job returned.
    fn results(&self) -> [u64; 4] {
        let outcome = |end: &Result<u64, TaskError>| match end {
            Ok(_) => Outcome::Ok,
            Err(error) => error.outcome(),
        };
        let ended = |wanted| self.0.iter().filter(|end| outcome(end) == wanted).count() as u64;
        row(self.0.len() as u64, ended)
    }

    /// The jobs that panicked, by their numbers, from 1.
    fn panics(&self) -> impl Iterator<Item = (usize, &Panic)> {
        self.0.iter().zip(1..).filter_map(|(end, job)| match end {
            Err(TaskError::Panicked(panic)) => Some((job, panic)),
            _ => None,
        })
    }

    pub(crate) fn some_panicked(&self) -> bool {
        self.panics().next().is_some()
    }

    /// Whether every job ended in one of the columns, and the counters say so too.
    pub(crate) fn adds_up(&self) -> bool {
        let row = self.results();
        row[0] == row[1..].iter().sum::<u64>() && row == counters()
    }

    /// Whether that many jobs have ended by themselves.
    pub(crate) fn is_of(&self, jobs: u64) -> bool {
        let [started, .., cancelled] = self.results();
        started - cancelled == jobs
    }

    pub(crate) fn write_table(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "{:10}{:>10}", "", "jobs")?;
        for outcome in OUTCOMES {
            write!(to, "{:>11}", outcome.as_str())?;
        }
        for (name, [jobs, ended @ ..]) in [("results", self.results()), ("counters", counters())] {
            write!(to, "\n{name:10}{jobs:>10}")?;
            for ended in ended {
                write!(to, "{ended:>11}")?;
            }
        }
        writeln!(to)
    }

    /// Each panic site, with its message, its count, and the first job.
    pub(crate) fn write_places(&self, to: &mut impl Write) -> io::Result<()> {
        let mut places = BTreeMap::<_, (usize, u64)>::new();
        for (job, panic) in self.panics() {
            let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
            places.entry((place, panic.message())).or_insert((job, 0)).1 += 1;
        }
        for ((place, message), (job, times)) in places {
            writeln!(to, "{times} x {place}: {message} (first: job {job})")?;
        }
        Ok(())
    }

    pub(crate) fn write_first_backtrace(&self, to: &mut impl Write) -> io::Result<()> {
        let Some((_, panic)) = self.panics().next() else { return Ok(()) };
        writeln!(to, "\n{panic}")?;
        match panic.backtrace() {
            Some(backtrace) => writeln!(to, "{backtrace}"),
            None => writeln!(to, "without a backtrace"),
        }
    }
}

/// Reads the counters of the library.
fn counters() -> [u64; 4] {
    let stats = stats();
    let average = stats.iter().find(|task| task.name == "average");
    average.map_or([0; 4], |task| row(task.started, |outcome| task.ended(outcome)))
}

fn row(jobs: u64, ended: impl Fn(Outcome) -> u64) -> [u64; 4] {
    let [ok, panicked, cancelled] = OUTCOMES.map(ended);
    [jobs, ok, panicked, cancelled]
}
