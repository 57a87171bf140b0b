//! Maps: the results of items that end as the program says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use futures::{Stream, stream};
use proptest::{collection::vec, prelude::*};
use testkit::{End, Failed, counters::Since};
use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, map, map_stream, supervised};

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

/// The same items as results, one by one: by the iterator and by a stream, which pends now and then.
async fn compare_streamed(
    program: Program,
    is_ordered: bool,
    is_stream: bool,
    pauses: usize,
    taken_before_cancel: usize,
) -> Result<(), TestCaseError> {
    let since = Since::now("properties: map");
    let mut tasks = Tasks::default();
    let items: Vec<_> =
        program.items.iter().map(|item| (*item, tasks.add(Work::Short(1)))).collect();
    let (token, count, limit) = (CancellationToken::new(), items.len(), program.limit);
    let read = Arc::new(AtomicUsize::new(0));
    let counts = read.clone();
    let items = items.into_iter().inspect(move |_| _ = counts.fetch_add(1, SeqCst));
    let f =
        |token, (what, task): (Item, crate::support::Task)| item(token, task.number, what, task);
    let mut results = match (is_stream, is_ordered) {
        (false, true) => map(&token, items, f).limit(limit).results(),
        (false, false) => map(&token, items, f).limit(limit).unordered(),
        (true, true) => map_stream(&token, pending_at_times(items), f).limit(limit).results(),
        (true, false) => map_stream(&token, pending_at_times(items), f).limit(limit).unordered(),
    };
    // The model: each item that was read has its own result, in order or in any; then, if the token fired before all
    // were read, one `Cancelled`.
    let (mut taken, mut cancelled) = (Vec::new(), 0);
    let mut read_at_cancel = None;
    while let Some(result) = in_time(results.next()).await {
        match result.map_err(Failure::from) {
            Err(Failure::Cancelled) => cancelled += 1,
            other => taken.push(other),
        }
        let ahead = read.load(SeqCst).saturating_sub(taken.len() + cancelled);
        prop_assert!(ahead <= 2 * limit, "{} read ahead of {}", ahead, taken.len());
        if taken.len() == taken_before_cancel {
            token.cancel();
            read_at_cancel = Some(read.load(SeqCst));
        }
        for _ in 0..pauses {
            yield_now().await;
        }
    }
    let read = read.load(SeqCst);
    match read_at_cancel {
        None => prop_assert_eq!((read, taken.len(), cancelled), (count, count, 0)),
        Some(at_cancel) => {
            prop_assert!(read <= at_cancel + 1, "{} read after the token", read - at_cancel);
            let of_unread = taken.len() + cancelled - read;
            // The stream has no `size_hint`: after its last item, more may come.
            let may_have_more = read < count || (is_stream && of_unread == 1);
            prop_assert_eq!(of_unread, usize::from(may_have_more));
        }
    }
    let mut expected: Vec<_> = (0..read)
        .map(|number| failure(number, program.items[number].end).map_or(Ok(number), Err))
        .collect();
    if cancelled == 0 {
        if !is_ordered {
            let key = |result: &Result<usize, Failure>| format!("{result:?}");
            taken.sort_by_key(key);
            expected.sort_by_key(key);
        }
        prop_assert_eq!(taken, expected);
    } else if is_ordered {
        // Those that the token did not end are in the order of the input.
        let mut left = expected.iter();
        for result in &taken {
            prop_assert!(left.any(|expected| expected == result), "{:?}", result);
        }
    }
    prop_assert!(tasks.peak() <= limit);
    prop_assert_eq!(tasks.running(), 0);
    let (_, running, waiting) = done(&since);
    prop_assert_eq!((running, waiting), (0, 0));
    Ok(())
}

/// A stream that is pending before every third item.
fn pending_at_times<T>(items: impl Iterator<Item = T> + Send) -> impl Stream<Item = T> + Send {
    let (mut items, mut polls) = (Box::new(items), 0_usize);
    stream::poll_fn(move |cx| {
        polls += 1;
        if polls % 3 == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(items.next())
    })
}

proptest! {
    #![proptest_config(programs(1_500))]

    // One test, since both count runs of the same function.
    #[test]
    fn a_map_behaves_like_its_items(
        settled in program(any_end()),
        together in program(prop_oneof![12 => Just(End::Ok), 1 => any_end()]),
        streamed in program(any_end()),
        (is_ordered, is_stream) in (any::<bool>(), any::<bool>()),
        (pauses, taken_before_cancel) in (0..4_usize, 1..40_usize),
    ) {
        run(compare_settled(settled))?;
        run(compare_together(together))?;
        run(compare_streamed(streamed, is_ordered, is_stream, pauses, taken_before_cancel))?;
    }
}
