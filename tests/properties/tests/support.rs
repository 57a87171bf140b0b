//! Shared by the programs: tasks that end on request, and the runtime's counters for them.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use proptest::prelude::*;
use testkit::{End, Failed, counters::Since};
use tokio::sync::Semaphore;
use tokio_supervised::{Outcome, TaskError};

/// The behaviour of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Succeeds after this many turns.
    Short(usize),
    /// Ends when its gate is opened.
    Gated(End),
}

pub(crate) fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![3 => Just(End::Ok), 1 => Just(End::Error), 1 => Just(End::Panic)]
}

pub(crate) fn works() -> impl Strategy<Value = Work> {
    prop_oneof![1 => (0..3_usize).prop_map(Work::Short), 3 => any_end().prop_map(Work::Gated)]
}

/// A failure, to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Own(usize),
    Panicked,
    Cancelled,
    Other,
}

impl From<Failed> for Failure {
    fn from(error: Failed) -> Self {
        match error {
            Failed::Own { number, .. } => Self::Own(number),
            Failed::Task(TaskError::Panicked(_)) => Self::Panicked,
            Failed::Task(TaskError::Cancelled(_)) => Self::Cancelled,
            Failed::Task(_) => Self::Other,
        }
    }
}

/// The arguments of a task.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) number: usize,
    pub(crate) work: Work,
    gate: Arc<Semaphore>,
    seen: Arc<Seen>,
}

/// The view of the tasks from inside.
#[derive(Default)]
struct Seen {
    running: AtomicUsize,
    peak: AtomicUsize,
}

struct Running(Arc<Seen>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Task {
    /// The body of the tests' functions.
    pub(crate) async fn run(self) -> Result<usize, Failed> {
        self.seen.peak.fetch_max(self.seen.running.fetch_add(1, SeqCst) + 1, SeqCst);
        let _running = Running(self.seen.clone());
        match self.work {
            Work::Short(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                Ok(self.number)
            }
            Work::Gated(end) => {
                self.gate.acquire().await.expect("a gate is not closed").forget();
                ends(self.number, end)
            }
        }
    }
}

/// The end of a body.
pub(crate) fn ends(number: usize, end: End) -> Result<usize, Failed> {
    match end {
        End::Ok => Ok(number),
        End::Error => Err(Failed::own(number)),
        // Without the hook: the panic is meant.
        End::Panic => std::panic::resume_unwind(Box::new("meant")),
        End::OnCancel | End::Never => unreachable!("no program draws them"),
    }
}

/// The tasks of one program.
#[derive(Default)]
pub(crate) struct Tasks {
    gates: Vec<Arc<Semaphore>>,
    seen: Arc<Seen>,
}

impl Tasks {
    /// The next task number.
    pub(crate) fn add(&mut self, work: Work) -> Task {
        let (number, gate) = (self.gates.len(), Arc::new(Semaphore::new(0)));
        self.gates.push(gate.clone());
        Task { number, work, gate, seen: self.seen.clone() }
    }

    pub(crate) fn open(&self, number: usize) {
        self.gates[number].add_permits(1);
    }

    pub(crate) fn open_all(&self) {
        self.gates.iter().for_each(|gate| gate.add_permits(1));
    }

    pub(crate) fn running(&self) -> usize {
        self.seen.running.load(SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.seen.peak.load(SeqCst)
    }
}

/// How many ended this way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) ok: usize,
    pub(crate) error: usize,
    pub(crate) panicked: usize,
    /// Cancelled, or dropped by their owner.
    pub(crate) stopped: usize,
}

impl Ends {
    pub(crate) fn add(&mut self, end: End) {
        match end {
            End::Ok => self.ok += 1,
            End::Error => self.error += 1,
            End::Panic => self.panicked += 1,
            End::OnCancel | End::Never => unreachable!("no program draws them"),
        }
    }
}

/// How the runs of a function have ended since, how many run, and how many wait.
pub(crate) fn done(since: &Since) -> (Ends, usize, usize) {
    let done = since.done();
    let ended = |outcome| done.ended(outcome) as usize;
    let ends = Ends {
        ok: ended(Outcome::Ok),
        error: ended(Outcome::Error),
        panicked: ended(Outcome::Panicked),
        stopped: ended(Outcome::Cancelled) + ended(Outcome::Dropped),
    };
    assert_eq!(done.started, done.all() + done.running, "started, and ended or running");
    (ends, done.running as usize, done.waiting as usize)
}

/// Runs a program in a new runtime.
pub(crate) fn run<F: Future>(program: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(program)
}

/// Until nothing is ready.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Fails instead of hanging.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(1_000), future).await.expect("every task ends")
}

/// This many programs unless the environment sets another number.
pub(crate) fn programs(cases: u32) -> ProptestConfig {
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    ProptestConfig { cases: if is_set { config.cases } else { cases }, ..config }
}
