//! Groups: the result of a join, and how every run ended.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};
use testkit::{End, Failed, counters::Since};
use tokio_supervised::{CancellationToken, Group, supervised};

use crate::support::{
    Ends, Failure, Task, Tasks, Work, done, in_time, programs, run, settle, works,
};

#[supervised(name = "properties: group")]
async fn task(task: Task) -> Result<usize, Failed> {
    task.run().await
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Spawn(Work),
    /// The gate of a running task.
    Open(prop::sample::Index),
    Cancel,
}

#[derive(Clone, Copy, Debug)]
enum Last {
    /// The gates are opened in turn meanwhile.
    Join,
    /// The same, and then the join is dropped before the last one.
    DropJoin,
    Drop,
}

#[derive(Clone, Debug)]
struct Program {
    limit: Option<usize>,
    steps: Vec<Step>,
    last: Last,
}

fn program() -> impl Strategy<Value = Program> {
    let step = prop_oneof![
        6 => works().prop_map(Step::Spawn),
        4 => any::<prop::sample::Index>().prop_map(Step::Open),
        1 => Just(Step::Cancel),
    ];
    let last = prop_oneof![4 => Just(Last::Join), 1 => Just(Last::DropJoin), 1 => Just(Last::Drop)];
    (proptest::option::of(1..4_usize), vec(step, 0..24), last)
        .prop_map(|(limit, steps, last)| Program { limit, steps, last })
}

/// A model of the documented group.
#[derive(Default)]
struct Model {
    limit: Option<usize>,
    running: Vec<(usize, End)>,
    waiting: VecDeque<(usize, Work)>,
    values: Vec<usize>,
    /// The first failure.
    failure: Option<Failure>,
    refused: bool,
    token_has_fired: bool,
    ends: Ends,
}

impl Model {
    fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.running.len() < limit)
    }

    fn spawn(&mut self, number: usize, work: Work) {
        if self.token_has_fired {
            self.refused = true;
            return;
        }
        self.waiting.push_back((number, work));
        self.start();
    }

    fn start(&mut self) {
        while self.has_room() {
            let Some((number, work)) = self.waiting.pop_front() else { return };
            match work {
                Work::Short(_) => {
                    self.ends.add(End::Ok);
                    self.values.push(number);
                }
                Work::Gated(end) => self.running.push((number, end)),
            }
        }
    }

    fn open(&mut self, place: usize) {
        let (number, end) = self.running.remove(place);
        self.ends.add(end);
        match end {
            End::Ok => {
                self.values.push(number);
                self.start();
            }
            End::Error => self.fail(Failure::Own(number)),
            End::Panic => self.fail(Failure::Panicked),
            End::OnCancel | End::Never => unreachable!("no program draws them"),
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.cancel();
    }

    /// Running tasks are dropped at their gates, and waiting spawns are refused.
    fn cancel(&mut self) {
        if self.token_has_fired {
            return;
        }
        self.token_has_fired = true;
        self.ends.stopped += self.running.len() + self.waiting.len();
        if !self.running.is_empty() {
            self.failure.get_or_insert(Failure::Cancelled);
        }
        self.refused |= !self.waiting.is_empty();
        self.running.clear();
        self.waiting.clear();
    }

    /// In the order of the spawns.
    fn joined(mut self) -> Result<Vec<usize>, Failure> {
        self.values.sort_unstable();
        match self.failure.or(self.refused.then_some(Failure::Cancelled)) {
            Some(failure) => Err(failure),
            None => Ok(self.values),
        }
    }
}

async fn compare(program: Program) -> Result<(), TestCaseError> {
    let since = Since::now("properties: group");
    let token = CancellationToken::new();
    let group = Group::new(&token);
    let group = match program.limit {
        Some(limit) => group.limit(limit),
        None => group,
    };
    let mut model = Model { limit: program.limit, ..Model::default() };
    let mut tasks = Tasks::default();
    for step in program.steps {
        match step {
            Step::Spawn(work) => {
                let (next, handle) = (tasks.add(work), group.handle());
                model.spawn(next.number, work);
                tokio::spawn(async move { handle.spawn(|token| task(token, next)).await });
            }
            Step::Open(index) => {
                if !model.running.is_empty() {
                    let place = index.index(model.running.len());
                    tasks.open(model.running[place].0);
                    model.open(place);
                }
            }
            Step::Cancel => {
                token.cancel();
                model.cancel();
            }
        }
        settle().await;
        let (ends, running, waiting) = done(&since);
        prop_assert_eq!(ends, model.ends);
        prop_assert_eq!((running, waiting), (model.running.len(), model.waiting.len()));
        prop_assert_eq!(tasks.running(), running);
    }
    prop_assert!(program.limit.is_none_or(|limit| tasks.peak() <= limit));
    match program.last {
        Last::Drop => drop(group),
        Last::Join | Last::DropJoin => {
            let joining = tokio::spawn(group.join());
            settle().await;
            while let Some((number, _)) = model.running.first() {
                prop_assert!(!joining.is_finished());
                if matches!(program.last, Last::DropJoin) && model.running.len() == 1 {
                    joining.abort();
                    break;
                }
                tasks.open(*number);
                model.open(0);
                settle().await;
            }
            if let Ok(joined) = in_time(joining).await {
                prop_assert_eq!(tasks.running(), 0);
                prop_assert_eq!(done(&since), (model.ends, 0, 0));
                prop_assert_eq!(joined.map_err(Failure::from), model.joined());
                return Ok(());
            }
        }
    }
    settle().await;
    prop_assert_eq!(tasks.running(), 0);
    // A waiting spawn may get the slot of an aborted task before it is cancelled: it may or may not count as a run.
    let (ends, running, waiting) = done(&since);
    let spawns = model.waiting.len();
    model.waiting.clear();
    model.cancel();
    prop_assert_eq!((running, waiting), (0, 0));
    prop_assert!((model.ends.stopped..=model.ends.stopped + spawns).contains(&ends.stopped));
    prop_assert_eq!(ends, Ends { stopped: ends.stopped, ..model.ends });
    Ok(())
}

proptest! {
    #![proptest_config(programs(1_500))]

    #[test]
    fn a_group_behaves_like_its_model(program in program()) {
        run(compare(program))?;
    }
}
