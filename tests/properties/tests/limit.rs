//! The limit of a function: which calls run, which wait, and the order of their permits.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};
use testkit::{End, Failed, counters::Since};
use tokio::task::JoinHandle;
use tokio_supervised::{CancellationToken, set_limit, supervised};

use crate::support::{
    Ends, Failure, Task, Tasks, Work, done, in_time, programs, run, settle, works,
};

const NAME: &str = "properties: limit";

#[supervised(name = "properties: limit", limit = 2)]
async fn task(task: Task) -> Result<usize, Failed> {
    task.run().await
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call(Work),
    Open(prop::sample::Index),
    SetLimit(usize),
    /// Of a running or waiting call.
    Drop(prop::sample::Index),
    Cancel(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        5 => works().prop_map(Step::Call),
        4 => index().prop_map(Step::Open),
        1 => (1..4_usize).prop_map(Step::SetLimit),
        1 => index().prop_map(Step::Drop),
        1 => index().prop_map(Step::Cancel),
    ];
    vec(step, 0..28)
}

#[derive(Default)]
struct Model {
    limit: usize,
    running: Vec<(usize, End)>,
    waiting: VecDeque<(usize, Work)>,
    ends: Ends,
    /// Of calls that ended by themselves.
    given: Vec<(usize, Result<usize, Failure>)>,
}

impl Model {
    fn call(&mut self, number: usize, work: Work) {
        self.waiting.push_back((number, work));
        self.start();
    }

    fn start(&mut self) {
        while self.running.len() < self.limit {
            match self.waiting.pop_front() {
                Some((number, Work::Short(_))) => {
                    self.ends.add(End::Ok);
                    self.given.push((number, Ok(number)));
                }
                Some((number, Work::Gated(end))) => self.running.push((number, end)),
                None => return,
            }
        }
    }

    fn open(&mut self, place: usize) -> usize {
        let (number, end) = self.running.remove(place);
        self.ends.add(end);
        let result = match end {
            End::Ok => Ok(number),
            End::Error => Err(Failure::Own(number)),
            End::Panic => Err(Failure::Panicked),
            End::OnCancel | End::Never => unreachable!("no program draws them"),
        };
        self.given.push((number, result));
        self.start();
        number
    }

    fn pending(&self) -> Vec<usize> {
        let running = self.running.iter().map(|(number, _)| *number);
        running.chain(self.waiting.iter().map(|(number, _)| *number)).collect()
    }

    fn stop(&mut self, number: usize) {
        self.ends.stopped += 1;
        self.running.retain(|(other, _)| *other != number);
        self.waiting.retain(|(other, _)| *other != number);
        self.start();
    }
}

/// A call in a separate task.
struct Call {
    token: CancellationToken,
    result: Option<JoinHandle<Result<usize, Failed>>>,
}

async fn compare(steps: Vec<Step>) -> Result<(), TestCaseError> {
    set_limit(NAME, 2).unwrap();
    let since = Since::now(NAME);
    let (mut tasks, mut calls) = (Tasks::default(), Vec::<Call>::new());
    let mut model = Model { limit: 2, ..Model::default() };
    for step in steps {
        match step {
            Step::Call(work) => {
                let (next, token) = (tasks.add(work), CancellationToken::new());
                model.call(next.number, work);
                let lent = token.clone();
                let result = Some(tokio::spawn(async move { task(&lent, next).await }));
                calls.push(Call { token, result });
            }
            Step::Open(index) if !model.running.is_empty() => {
                let number = model.open(index.index(model.running.len()));
                tasks.open(number);
            }
            Step::SetLimit(limit) => {
                model.limit = limit;
                model.start();
                set_limit(NAME, limit).unwrap();
            }
            Step::Drop(index) | Step::Cancel(index) if !model.pending().is_empty() => {
                let number = *index.get(&model.pending());
                model.stop(number);
                let call = &mut calls[number];
                if matches!(step, Step::Cancel(_)) {
                    call.token.cancel();
                    model.given.push((number, Err(Failure::Cancelled)));
                } else {
                    call.result.take().unwrap().abort();
                }
            }
            Step::Open(_) | Step::Drop(_) | Step::Cancel(_) => continue,
        }
        settle().await;
        let (ends, running, waiting) = done(&since);
        prop_assert_eq!(ends, model.ends);
        prop_assert_eq!((running, waiting), (model.running.len(), model.waiting.len()));
        prop_assert_eq!(tasks.running(), running);
        for (number, given) in std::mem::take(&mut model.given) {
            let result = calls[number].result.take().unwrap();
            prop_assert!(result.is_finished());
            prop_assert_eq!(in_time(result).await.unwrap().map_err(Failure::from), given);
        }
    }
    calls.into_iter().filter_map(|call| call.result).for_each(|result| result.abort());
    settle().await;
    prop_assert_eq!(tasks.running(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(programs(1_500))]

    #[test]
    fn a_limit_behaves_like_its_model(steps in steps()) {
        // The first run registers the function; then its limit can be set.
        let first = Tasks::default().add(Work::Short(0));
        run(in_time(task(&CancellationToken::new(), first))).unwrap();
        run(compare(steps))?;
    }
}
