//! Pools: accepted tasks, waiting spawns, and the rest at the end.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use testkit::{Failed, counters::Since};
use tokio::task::JoinHandle;
use tokio_supervised::{Pool, Slot, SpawnError, TrySpawnError, supervised};

use crate::{
    pool_model::{Model, Waits},
    support::{Task, Tasks, Work, done, in_time, programs, run, settle, works},
};

const LONG: Duration = Duration::from_secs(100);

#[supervised(name = "properties: pool")]
async fn task(task: Task) -> Result<usize, Failed> {
    task.run().await
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Spawn(Work),
    TrySpawn(Work),
    Reserve,
    /// One of the reserved slots.
    Use(prop::sample::Index, Work),
    GiveBack(prop::sample::Index),
    Open(prop::sample::Index),
    SetLimit(usize),
}

#[derive(Clone, Copy, Debug)]
enum Last {
    /// The gates are opened, and the slots released, before half of its grace is over.
    Drain,
    /// Nothing is opened: at half of its grace it cancels all tasks.
    DrainStopped,
    DrainAtOnce,
    Drop,
}

#[derive(Clone, Debug)]
struct Program {
    limit: usize,
    steps: Vec<Step>,
    last: Last,
}

fn program() -> impl Strategy<Value = Program> {
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        5 => works().prop_map(Step::Spawn),
        2 => works().prop_map(Step::TrySpawn),
        2 => Just(Step::Reserve),
        2 => (index(), works()).prop_map(|(slot, work)| Step::Use(slot, work)),
        1 => index().prop_map(Step::GiveBack),
        4 => index().prop_map(Step::Open),
        1 => (1..4_usize).prop_map(Step::SetLimit),
    ];
    let last = prop_oneof![
        Just(Last::Drain),
        Just(Last::DrainStopped),
        Just(Last::DrainAtOnce),
        Just(Last::Drop)
    ];
    (1..4_usize, vec(step, 0..24), last).prop_map(|(limit, steps, last)| Program {
        limit,
        steps,
        last,
    })
}

/// A spawn that waits for a slot beside the program.
enum Beside {
    Spawn(JoinHandle<Result<(), SpawnError>>),
    Reserve(JoinHandle<Result<Slot, SpawnError>>),
}

/// The pool of a program, and its reserved slots.
struct Real {
    pool: Pool,
    tasks: Tasks,
    beside: Vec<Beside>,
    slots: Vec<Slot>,
}

impl Real {
    fn spawn(&mut self, next: Task) {
        let pool = self.pool.clone();
        let spawns = async move { pool.spawn(|token| task(token, next)).await.map(drop) };
        self.beside.push(Beside::Spawn(tokio::spawn(spawns)));
    }

    fn reserve(&mut self) {
        let pool = self.pool.clone();
        let reserves = async move { pool.reserve().await };
        self.beside.push(Beside::Reserve(tokio::spawn(reserves)));
    }

    /// Spawns that got their slots.
    async fn collect(&mut self) -> Result<(), TestCaseError> {
        for beside in std::mem::take(&mut self.beside) {
            match beside {
                Beside::Spawn(spawn) if spawn.is_finished() => {
                    prop_assert!(spawn.await.unwrap().is_ok());
                }
                Beside::Reserve(reserve) if reserve.is_finished() => {
                    self.slots.push(reserve.await.unwrap().unwrap());
                }
                waits => self.beside.push(waits),
            }
        }
        Ok(())
    }

    /// Spawns that were refused.
    async fn all_refused(&mut self) -> Result<(), TestCaseError> {
        for beside in std::mem::take(&mut self.beside) {
            let refused = match beside {
                Beside::Spawn(spawn) => in_time(spawn).await.unwrap().err(),
                Beside::Reserve(reserve) => in_time(reserve).await.unwrap().err(),
            };
            prop_assert!(matches!(refused, Some(SpawnError::Closed(_))));
        }
        Ok(())
    }
}

async fn compare(program: Program) -> Result<(), TestCaseError> {
    let since = Since::now("properties: pool");
    let mut model = Model { limit: program.limit, ..Model::default() };
    let mut real = Real {
        pool: Pool::new(program.limit),
        tasks: Tasks::default(),
        beside: Vec::new(),
        slots: Vec::new(),
    };
    let mut most = program.limit;
    for step in program.steps {
        match step {
            Step::Spawn(work) => {
                let next = real.tasks.add(work);
                model.wait(Waits::Spawn(next.number, work));
                real.spawn(next);
            }
            Step::TrySpawn(work) => {
                let next = real.tasks.add(work);
                let takes = model.try_spawn(next.number, work);
                let taken = real.pool.try_spawn(|token| task(token, next));
                prop_assert_eq!(
                    taken.map(drop),
                    if takes { Ok(()) } else { Err(TrySpawnError::Full) }
                );
            }
            Step::Reserve => {
                model.wait(Waits::Reserve);
                real.reserve();
            }
            Step::Use(index, work) if !real.slots.is_empty() => {
                let slot = real.slots.swap_remove(index.index(real.slots.len()));
                let next = real.tasks.add(work);
                model.use_slot(next.number, work);
                slot.spawn(|token| task(token, next));
            }
            Step::GiveBack(index) if !real.slots.is_empty() => {
                drop(real.slots.swap_remove(index.index(real.slots.len())));
                model.release();
            }
            Step::Open(index) if !model.running.is_empty() => {
                let number = model.open(index.index(model.running.len()));
                real.tasks.open(number);
            }
            Step::SetLimit(limit) => {
                most = most.max(limit);
                model.set_limit(limit);
                real.pool.set_limit(limit).unwrap();
            }
            Step::Use(..) | Step::GiveBack(_) | Step::Open(_) => continue,
        }
        settle().await;
        real.collect().await?;
        let (ends, running, waiting) = done(&since);
        prop_assert_eq!(ends, model.ends);
        prop_assert_eq!(running, model.running.len());
        prop_assert_eq!(waiting, model.spawns_that_wait());
        prop_assert_eq!(real.pool.len(), running);
        prop_assert_eq!(real.slots.len(), model.reserved);
        prop_assert_eq!(real.beside.len(), model.waiting.len());
    }
    prop_assert!(real.tasks.peak() <= most);
    end(program.last, real, model, since).await
}

async fn end(
    last: Last,
    mut real: Real,
    mut model: Model,
    since: Since,
) -> Result<(), TestCaseError> {
    model.close();
    match last {
        Last::Drain => {
            let pool = real.pool.clone();
            let draining = tokio::spawn(async move { pool.drain(LONG).await });
            settle().await;
            prop_assert_eq!(draining.is_finished(), model.running.len() + model.reserved == 0);
            real.all_refused().await?;
            real.slots.clear();
            real.tasks.open_all();
            prop_assert!(in_time(draining).await.unwrap().is_ok());
            model.running.drain(..).for_each(|(_, end)| model.ends.add(end));
        }
        Last::DrainStopped => {
            let live = model.running.len();
            let drained = in_time(real.pool.drain(LONG)).await;
            real.all_refused().await?;
            model.stop();
            match drained {
                Ok(()) => prop_assert_eq!((model.reserved, live), (0, 0)),
                Err(unfinished) => {
                    prop_assert_eq!(unfinished.cut().len(), live, "each task is cancelled");
                    prop_assert_eq!(unfinished.reserved(), model.reserved);
                    prop_assert_eq!(unfinished.tasks().len(), 0, "all stop on cancellation");
                }
            }
        }
        Last::DrainAtOnce => {
            let drained = in_time(real.pool.drain(Duration::ZERO)).await;
            prop_assert_eq!(drained.is_ok(), model.reserved + model.running.len() == 0);
            if let Err(unfinished) = drained {
                prop_assert_eq!(unfinished.tasks().len(), 0, "one turn is enough for all");
            }
            real.all_refused().await?;
            model.stop();
        }
        Last::Drop => {
            let Real { pool, tasks, beside, slots } = real;
            drop((pool, slots));
            for beside in beside {
                match beside {
                    Beside::Spawn(spawn) => spawn.abort(),
                    Beside::Reserve(reserve) => reserve.abort(),
                }
            }
            settle().await;
            model.stop();
            prop_assert_eq!(tasks.running(), 0);
            prop_assert_eq!(done(&since), (model.ends, 0, 0));
            return Ok(());
        }
    }
    prop_assert_eq!(real.tasks.running(), 0);
    prop_assert_eq!(done(&since), (model.ends, 0, 0));
    prop_assert!(real.pool.is_empty());
    let late = real.tasks.add(Work::Short(0));
    let refused = real.pool.try_spawn(|token| task(token, late));
    prop_assert_eq!(refused.map(drop), Err(TrySpawnError::Closed));
    Ok(())
}

proptest! {
    #![proptest_config(programs(1_500))]

    #[test]
    fn a_pool_behaves_like_its_model(program in program()) {
        run(compare(program))?;
    }
}
