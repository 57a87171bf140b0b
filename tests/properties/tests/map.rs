//! Maps: the results of items that end as the program says.

use proptest::{collection::vec, prelude::*};
use testkit::{End, Failed, counters::Since};
use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, map, supervised};

use crate::support::{Ends, Failure, Tasks, Work, any_end, done, ends, in_time, programs, run};

#[derive(Clone, Copy, Debug)]
struct Item {
    turns: usize,
    end: End,
}

/// Fails before its turns or after them: many are ready at once.
#[supervised(name = "properties: map")]
async fn item(number: usize, item: Item, running: crate::support::Task) -> Result<usize, Failed> {
    running.run().await?;
    for _ in 0..item.turns {
        yield_now().await;
    }
    ends(number, item.end)
}

#[derive(Clone, Debug)]
struct Program {
    limit: usize,
    items: Vec<Item>,
}

fn program(ends: impl Strategy<Value = End>) -> impl Strategy<Value = Program> {
    let item = (0..4_usize, ends).prop_map(|(turns, end)| Item { turns, end });
    (1..6_usize, vec(item, 0..24)).prop_map(|(limit, items)| Program { limit, items })
}

fn failure(number: usize, end: End) -> Option<Failure> {
    match end {
        End::Ok => None,
        End::Error => Some(Failure::Own(number)),
        End::Panic => Some(Failure::Panicked),
        End::OnCancel | End::Never => unreachable!("no program draws them"),
    }
}

async fn compare_settled(program: Program) -> Result<(), TestCaseError> {
    let since = Since::now("properties: map");
    let (mut tasks, mut counts) = (Tasks::default(), Ends::default());
    let items: Vec<_> =
        program.items.iter().map(|item| (*item, tasks.add(Work::Short(1)))).collect();
    let token = CancellationToken::new();
    let all = map(&token, items, |token, (what, task)| item(token, task.number, what, task));
    let settled = in_time(all.limit(program.limit).settled()).await;
    prop_assert_eq!(settled.len(), program.items.len());
    for (number, (given, item)) in settled.into_iter().zip(&program.items).enumerate() {
        counts.add(item.end);
        let expected = failure(number, item.end).map_or(Ok(number), Err);
        prop_assert_eq!(given.map_err(Failure::from), expected);
    }
    prop_assert!(tasks.peak() <= program.limit);
    prop_assert_eq!(done(&since), (counts, 0, 0));
    Ok(())
}

async fn compare_together(program: Program) -> Result<(), TestCaseError> {
    let since = Since::now("properties: map");
    let mut tasks = Tasks::default();
    let items: Vec<_> =
        program.items.iter().map(|item| (*item, tasks.add(Work::Short(1)))).collect();
    let token = CancellationToken::new();
    let all = map(&token, items, |token, (what, task)| item(token, task.number, what, task));
    let mapped = in_time(all.limit(program.limit)).await.map_err(Failure::from);
    let failures = program.items.iter().enumerate();
    let failures: Vec<_> =
        failures.filter_map(|(number, item)| failure(number, item.end)).collect();
    match mapped {
        Ok(values) => {
            prop_assert!(failures.is_empty());
            prop_assert_eq!(values, (0..program.items.len()).collect::<Vec<_>>());
        }
        Err(given) if program.limit == 1 => prop_assert_eq!(Some(&given), failures.first()),
        Err(given) => prop_assert!(failures.contains(&given), "{:?}", given),
    }
    prop_assert!(tasks.peak() <= program.limit);
    prop_assert_eq!(tasks.running(), 0);
    let (_, running, waiting) = done(&since);
    prop_assert_eq!((running, waiting), (0, 0));
    prop_assert!(!token.is_cancelled());
    Ok(())
}

proptest! {
    #![proptest_config(programs(1_500))]

    // One test, since both count runs of the same function.
    #[test]
    fn a_map_behaves_like_its_items(
        settled in program(any_end()),
        together in program(prop_oneof![12 => Just(End::Ok), 1 => any_end()]),
    ) {
        run(compare_settled(settled))?;
        run(compare_together(together))?;
    }
}
