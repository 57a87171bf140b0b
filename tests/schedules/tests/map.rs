//! One run for each item.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;

use tokio::schedule::all_ended;
use tokio_supervised::{CancellationToken, Outcome, Results, TaskError, map, supervised};

use crate::{
    explore::{any, below},
    record::{
        Act, ENDING, End, FAILING, Failed, Seen, Since, act, every_permit_is_back, some_turns,
    },
};

#[supervised(name = "map: item", limit = 3)]
async fn item(
    token: &CancellationToken,
    number: usize,
    what: Act,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    act(token, number, what, seen).await
}

fn items(of: &[Act]) -> Vec<(usize, Act)> {
    (0..2 + below(4)).map(|number| (number, any(of))).collect()
}

in_many_orders! {
    async fn a_map_returns_its_values_in_order_or_its_first_failure() {
        let since = Since::now("map: item");
        let seen = Arc::new(Seen::default());
        let token = CancellationToken::new();
        let is_cancelled = below(2) == 0;
        let acts = if is_cancelled { FAILING } else { &FAILING[..FAILING.len() - 1] };
        let items = items(if below(2) == 0 { acts } else { ENDING });
        let (count, limit) = (items.len(), 1 + below(3));
        if is_cancelled {
            let token = token.clone();
            tokio::spawn(async move {
                some_turns().await;
                token.cancel();
            });
        }
        let of_items = seen.clone();
        let all = map(&token, items, move |token, (number, what)| {
            item(token, number, what, of_items.clone())
        });
        let mapped = all.limit(limit).await;
        seen.all_over();
        let done = since.all_ended();
        assert!(seen.peak() <= limit, "{} at once", seen.peak());
        match mapped {
            Ok(values) => assert_eq!(values, (0..count).collect::<Vec<_>>()),
            Err(Failed::Own { number, after_cancel }) => {
                assert!(is_cancelled || !after_cancel, "{number} was not the first to fail");
            }
            Err(Failed::Task(TaskError::Panicked(_))) => {
                assert!(done.ended(Outcome::Panicked) > 0, "{done:?}");
            }
            Err(error) => assert!(is_cancelled, "{error:?}"),
        }
        every_permit_is_back(3, |seen| item(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}

in_many_orders! {
    async fn a_settled_map_returns_a_result_for_each_item() {
        let since = Since::now("map: item");
        let seen = Arc::new(Seen::default());
        let items = items(&FAILING[..FAILING.len() - 1]);
        let (acts, limit) = (items.clone(), 1 + below(3));
        let of_items = seen.clone();
        let all = map(&CancellationToken::new(), items, move |token, (number, what)| {
            item(token, number, what, of_items.clone())
        });
        let settled = all.limit(limit).settled().await;
        seen.all_over();
        since.all_ended();
        assert!(seen.peak() <= limit, "{} at once", seen.peak());
        assert_eq!(settled.len(), acts.len());
        for (end, (number, what)) in settled.iter().zip(acts) {
            match (end, what) {
                (Ok(value), Act { end: End::Ok, .. }) => assert_eq!(*value, number),
                (Err(Failed::Own { number: of, after_cancel: false }), Act { end: End::Error, .. }) => {
                    assert_eq!(*of, number);
                }
                (Err(Failed::Task(TaskError::Panicked(_))), Act { end: End::Panic, .. }) => {}
                (end, what) => panic!("{what:?} gave {end:?}"),
            }
        }
    }
}

in_many_orders! {
    async fn a_map_that_is_dropped_at_any_moment_leaks_nothing() {
        let since = Since::now("map: item");
        let (seen, read) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let (of_items, counts) = (seen.clone(), read.clone());
        let items = items(&[Act::ok(1), Act::error(3), Act::ON_CANCEL, Act::NEVER]);
        let items = items.into_iter().inspect(move |_| {
            counts.fetch_add(1, SeqCst);
        });
        let mapping = tokio::spawn(async move {
            let token = CancellationToken::new();
            let all = map(&token, items, move |token, (number, what)| {
                item(token, number, what, of_items.clone())
            });
            all.limit(2).await.map(|values| values.len())
        });
        some_turns().await;
        mapping.abort();
        _ = mapping.await;
        let so_far = read.load(SeqCst);
        all_ended().await;
        seen.all_over();
        since.all_ended();
        assert!(read.load(SeqCst) <= so_far + 1, "items are read after the drop");
        every_permit_is_back(3, |seen| item(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}

/// Takes results until the end; the consumer waits now and then.
async fn take_all(results: &mut Results<usize, Failed>) -> Vec<Result<usize, Failed>> {
    let mut taken = Vec::new();
    while let Some(result) = results.next().await {
        taken.push(result);
        if below(2) == 0 {
            some_turns().await;
        }
    }
    taken
}

fn streamed(
    token: &CancellationToken,
    items: impl Iterator<Item = (usize, Act)> + Send + 'static,
    seen: &Arc<Seen>,
    limit: usize,
    is_ordered: bool,
) -> Results<usize, Failed> {
    let seen = seen.clone();
    let all =
        map(token, items, move |token, (number, what)| item(token, number, what, seen.clone()));
    if is_ordered { all.limit(limit).results() } else { all.limit(limit).unordered() }
}

in_many_orders! {
    async fn each_item_of_a_stream_has_one_result() {
        let since = Since::now("map: item");
        let seen = Arc::new(Seen::default());
        let items = items(&FAILING[..FAILING.len() - 1]);
        let (acts, limit, is_ordered) = (items.clone(), 1 + below(3), below(2) == 0);
        let token = CancellationToken::new();
        let mut results = streamed(&token, items.into_iter(), &seen, limit, is_ordered);
        let taken = take_all(&mut results).await;
        seen.all_over();
        since.all_ended();
        assert!(seen.peak() <= limit, "{} at once", seen.peak());
        assert_eq!(taken.len(), acts.len());
        if is_ordered {
            for (end, (number, what)) in taken.iter().zip(acts) {
                assert_eq!(end.is_ok(), matches!(what.end, End::Ok), "{number}: {end:?}");
                if let Ok(value) = end {
                    assert_eq!(*value, number);
                }
            }
        } else {
            let mut values: Vec<_> = taken.iter().flatten().copied().collect();
            values.sort_unstable();
            let ok = acts.iter().filter(|(_, what)| matches!(what.end, End::Ok));
            assert_eq!(values, ok.map(|(number, _)| *number).collect::<Vec<_>>());
        }
    }
}

in_many_orders! {
    async fn a_token_ends_a_stream_with_one_cancelled() {
        let since = Since::now("map: item");
        let (seen, read) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let (counts, limit, is_ordered) = (read.clone(), 1 + below(3), below(2) == 0);
        let acts = (0..).map(move |number| {
            counts.fetch_add(1, SeqCst);
            (number, Act::ok(1))
        });
        let token = CancellationToken::new();
        let mut results = streamed(&token, acts, &seen, limit, is_ordered);
        let fires = token.clone();
        tokio::spawn(async move {
            some_turns().await;
            fires.cancel();
        });
        let taken = take_all(&mut results).await;
        seen.all_over();
        since.all_ended();
        // Without that of an item that was being read when the map gave up on its iterator.
        let without = read.load(SeqCst) + 1 - taken.len();
        assert!(without <= 1, "{without} items have no result");
        let last = taken.last().expect("there is a last one");
        assert!(matches!(last, Err(Failed::Task(TaskError::Cancelled(_)))), "{last:?}");
        every_permit_is_back(3, |seen| item(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}

in_many_orders! {
    async fn a_stream_that_is_dropped_at_any_moment_leaks_nothing() {
        let since = Since::now("map: item");
        let (seen, read) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let (of_items, counts) = (seen.clone(), read.clone());
        let items = items(&[Act::ok(1), Act::error(3), Act::ON_CANCEL, Act::NEVER]);
        let items = items.into_iter().inspect(move |_| {
            counts.fetch_add(1, SeqCst);
        });
        let token = CancellationToken::new();
        let is_ordered = below(2) == 0;
        let taking = tokio::spawn(async move {
            let mut results = streamed(&token, items, &of_items, 2, is_ordered);
            take_all(&mut results).await.len()
        });
        some_turns().await;
        taking.abort();
        _ = taking.await;
        let so_far = read.load(SeqCst);
        all_ended().await;
        seen.all_over();
        since.all_ended();
        assert!(read.load(SeqCst) <= so_far + 1, "items are read after the drop");
        every_permit_is_back(3, |seen| item(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}
