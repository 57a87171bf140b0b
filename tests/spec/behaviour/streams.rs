//! Maps over streams, and results one by one.

use std::{
    collections::BTreeSet,
    future::pending,
    iter,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, Stream, StreamExt as _, stream, stream::FusedStream as _};
use tokio::{
    sync::{Barrier, Semaphore, mpsc},
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_supervised::{
    CancellationToken, Cause, Results, TaskError, map, map_stream, remaining, supervised, within,
};

use testkit::{Alive, in_time, runtime, stats_of, turn};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("item {0} failed")]
    Item(u32),
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[supervised(name = "streams: double")]
async fn double(n: u32) -> Result<u32, TaskError> {
    Ok(2 * n)
}

/// Fails at a multiple of 3, panics at one of 5.
#[supervised(name = "streams: uneven", log = "off")]
async fn uneven(n: u32) -> Result<u32, Failure> {
    for _ in 0..n % 4 {
        turn().await;
    }
    assert!(n % 5 != 0, "a multiple of five");
    if n % 3 == 0 { Err(Failure::Item(n)) } else { Ok(n) }
}

/// Takes a second for each unit.
#[supervised(name = "streams: slow")]
async fn slow(seconds: u32) -> Result<u32, TaskError> {
    sleep(seconds * SECOND).await;
    Ok(seconds)
}

#[supervised(name = "streams: never")]
async fn never(_n: u32) -> Result<(), TaskError> {
    pending().await
}

fn live() -> CancellationToken {
    CancellationToken::new()
}

/// Counts the items that are read from an endless iterator.
fn counted(read: &Arc<AtomicUsize>) -> impl Iterator<Item = u32> + Send + use<> {
    let read = read.clone();
    (0..).inspect(move |_| _ = read.fetch_add(1, SeqCst))
}

fn received(mut receiver: mpsc::Receiver<u32>) -> impl Stream<Item = u32> + Send {
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

async fn all<T, E>(results: &mut Results<T, E>) -> Vec<Result<T, E>> {
    let mut all = Vec::new();
    while let Some(result) = in_time(results.next()).await {
        all.push(result);
    }
    all
}

/// Pends for ever, which its `size_hint` does not tell.
fn silence() -> impl Stream<Item = u32> + Send {
    stream::poll_fn(|_| Poll::Pending)
}

/// Lets every other task of a current-thread runtime run until it waits.
async fn settle() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_is_collected_in_order() {
    let doubled = in_time(map_stream(&live(), stream::iter(0..100), double)).await.unwrap();
    assert!(doubled.into_iter().eq((0..100).map(|n| 2 * n)));
}

#[tokio::test]
async fn a_settled_stream_has_a_result_for_each_item() {
    let ends = in_time(map_stream(&live(), stream::iter(1..=5), uneven).settled()).await;
    assert!(matches!(
        ends[..],
        [Ok(1), Ok(2), Err(Failure::Item(3)), Ok(4), Err(Failure::Task(TaskError::Panicked(_)))]
    ));
}

#[tokio::test]
async fn a_failure_ends_a_collected_stream() {
    let stream = stream::iter([3]).chain(silence());
    let failure = in_time(map_stream(&live(), stream, uneven)).await;
    assert!(matches!(failure, Err(Failure::Item(3))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn results_are_in_the_order_of_the_input() {
    let of_iterator = all(&mut map(&live(), 1..500, uneven).limit(7).results()).await;
    let of_stream =
        all(&mut map_stream(&live(), stream::iter(1..500), uneven).limit(7).results()).await;
    for results in [of_iterator, of_stream] {
        assert_eq!(results.len(), 499);
        for (n, result) in (1..500).zip(results) {
            match result {
                Ok(value) => assert!(value == n && n % 3 != 0 && n % 5 != 0),
                Err(Failure::Item(of)) => assert!(of == n && n % 3 == 0),
                Err(Failure::Task(error)) => {
                    assert!(n % 5 == 0 && matches!(error, TaskError::Panicked(_)));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unordered_results_come_as_the_items_finish() {
    let mut slept = map(&live(), [3, 1, 2], slow).limit(3).unordered();
    assert_eq!(
        all(&mut slept).await.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let mut slept = map_stream(&live(), stream::iter([3, 1, 2]), slow).limit(3).unordered();
    assert_eq!(
        all(&mut slept).await.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_unordered_result_is_lost_or_doubled() {
    let results = all(&mut map(&live(), 0..10_000, double).limit(7).unordered()).await;
    let values: BTreeSet<_> = results.iter().map(|result| *result.as_ref().unwrap()).collect();
    assert_eq!((results.len(), values.len()), (10_000, 10_000));
}

#[tokio::test(start_paused = true)]
async fn a_failure_cancels_no_other_item() {
    #[supervised(name = "streams: fails at once")]
    async fn fails_at_once(n: u32) -> Result<u32, Failure> {
        if n == 0 {
            return Err(Failure::Item(n));
        }
        sleep(SECOND).await;
        Ok(n)
    }

    for results in [
        map(&live(), 0..4, fails_at_once).limit(4).results(),
        map_stream(&live(), stream::iter(0..4), fails_at_once).limit(4).unordered(),
    ] {
        let mut results = results;
        let all = all(&mut results).await;
        assert!(matches!(all[..], [Err(Failure::Item(0)), Ok(_), Ok(_), Ok(_)]), "{all:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_stops_polling_stops_the_reading() {
    let read = Arc::new(AtomicUsize::new(0));
    let mut results = map(&live(), counted(&read), double).limit(4).results();
    for taken in 1..10 {
        assert!(in_time(results.next()).await.is_some());
        settle().await;
        let before = read.load(SeqCst);
        assert!((taken + 4..=taken + 8).contains(&before), "{taken} taken, {before} read");
        settle().await;
        assert_eq!(read.load(SeqCst), before);
    }
}

#[tokio::test]
async fn at_most_limit_items_run_beside_waiting_results() {
    #[supervised(name = "streams: gate")]
    async fn gated(gate: Arc<Semaphore>) -> Result<(), TaskError> {
        gate.acquire().await.expect("it stays open").forget();
        Ok(())
    }

    let (gate, read) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let given = gate.clone();
    let items = counted(&read);
    let mut results =
        map(&live(), items, move |token, _| gated(token, given.clone())).limit(3).unordered();
    assert!(results.next().now_or_never().is_none());
    settle().await;
    assert_eq!(read.load(SeqCst), 3, "the limit of the runs");
    gate.add_permits(2);
    settle().await;
    assert_eq!((read.load(SeqCst), stats_of("streams: gate").running), (5, 3), "two wait");
    gate.add_permits(1);
    settle().await;
    assert_eq!((read.load(SeqCst), stats_of("streams: gate").running), (5, 2), "three wait");
    assert!(in_time(results.next()).await.is_some());
    settle().await;
    assert_eq!((read.load(SeqCst), stats_of("streams: gate").running), (6, 3), "two wait");
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_of_line_stops_the_reading() {
    let read = Arc::new(AtomicUsize::new(0));
    let mut results =
        map(&live(), counted(&read).map(|n| u32::from(n == 0)), slow).limit(4).results();
    assert!(results.next().now_or_never().is_none());
    settle().await;
    let waiting = read.load(SeqCst) - 1;
    assert!((4..8).contains(&waiting), "{waiting} wait for the first");
    assert_eq!(in_time(results.next()).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn an_item_is_read_only_if_its_run_can_start() {
    let (sender, receiver) = mpsc::channel(10);
    let mut results = map_stream(&live(), received(receiver), never).limit(2).unordered();
    assert!(results.next().now_or_never().is_none());
    for n in 0..10 {
        sender.send(n).await.expect("it is received");
    }
    settle().await;
    assert_eq!(sender.capacity(), 2, "two were read");
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_stops_no_item_in_progress() {
    // With `buffered`, the items in progress are not polled meanwhile, and run into their timeouts.
    #[supervised(name = "streams: with a deadline", timeout = "2s")]
    async fn two_steps(n: u32) -> Result<u32, TaskError> {
        sleep(SECOND / 2).await;
        sleep(SECOND / 2).await;
        Ok(n)
    }

    for mut results in [
        map_stream(&live(), stream::iter(0..20), two_steps).limit(4).results(),
        map_stream(&live(), stream::iter(0..20), two_steps).limit(4).unordered(),
    ] {
        let mut taken = 0;
        while let Some(result) = in_time(results.next()).await {
            result.expect("no item runs into its timeout");
            taken += 1;
            sleep(10 * SECOND).await;
        }
        assert_eq!(taken, 20);
    }
}

#[tokio::test]
async fn after_the_token_no_item_is_read() {
    #[supervised(name = "streams: finishes", grace = "1h")]
    async fn finishes(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
        token.cancelled().await;
        Ok(n)
    }

    for ordered in [true, false] {
        let (token, read) = (live(), Arc::new(AtomicUsize::new(0)));
        let finishing = map(&token, counted(&read), finishes).limit(3);
        let mut results = if ordered { finishing.results() } else { finishing.unordered() };
        assert!(results.next().now_or_never().is_none());
        settle().await;
        token.cancel();
        let all = all(&mut results).await;
        let mut values: Vec<_> = all.iter().flatten().copied().collect();
        values.sort_unstable();
        assert_eq!((values, read.load(SeqCst)), (vec![0, 1, 2], 3), "what has started");
        assert!(
            matches!(&all[3..], [Err(TaskError::Cancelled(end))] if end.cause() == Cause::Token)
        );
        assert!(results.is_terminated());
    }
}

#[tokio::test]
async fn a_token_ends_the_wait_for_a_stream() {
    let token = live();
    let is_dropped = Arc::new(AtomicUsize::new(0));
    let alive = Alive::new(&is_dropped);
    let stream = silence().inspect(move |_| _ = &alive);
    let mut results = map_stream(&token, stream, double).results();
    assert!(results.next().now_or_never().is_none());
    settle().await;
    assert_eq!(is_dropped.load(SeqCst), 1);
    token.cancel();
    let all = all(&mut results).await;
    assert!(matches!(all[..], [Err(TaskError::Cancelled(_))]));
    assert_eq!(is_dropped.load(SeqCst), 0, "the stream was dropped");

    let token = live();
    let mut collected = map_stream(&token, silence(), double);
    assert!((&mut collected).now_or_never().is_none());
    settle().await;
    token.cancel();
    assert!(matches!(in_time(collected).await, Err(TaskError::Cancelled(_))));
}

#[tokio::test]
async fn a_token_that_fires_after_the_input_ended_adds_nothing() {
    let token = live();
    let mut results = map_stream(&token, stream::iter(0..3), double).limit(1).results();
    assert!(in_time(results.next()).await.is_some());
    settle().await;
    assert!(in_time(results.next()).await.is_some());
    settle().await;
    token.cancel();
    assert_eq!(all(&mut results).await.len(), 1, "the last item, and no `Cancelled`");
}

#[tokio::test]
async fn results_of_a_fired_token_are_one_cancelled() {
    let token = live();
    token.cancel();
    let mut results = map_stream(&token, stream::iter(0..3), double).results();
    assert!(matches!(all(&mut results).await[..], [Err(TaskError::Cancelled(_))]));
    let mut results = map_stream(&token, stream::empty(), double).unordered();
    assert!(all(&mut results).await.is_empty(), "nothing was left unread");
}

#[tokio::test]
async fn a_stream_that_says_it_is_empty_ends_the_map() {
    let mut results = map_stream(&live(), stream::pending::<u32>(), double).results();
    assert!(all(&mut results).await.is_empty());
}

#[tokio::test]
async fn dropped_results_cancel_and_abort() {
    let alive = Arc::new(AtomicUsize::new(0));
    let of_items = Alive::new(&alive);
    let stream = stream::iter(0..2).chain(silence());
    let of_stream = of_items.another();
    let stream = stream.inspect(move |_| _ = &of_stream);
    #[supervised(name = "streams: dropped")]
    async fn held(_alive: Alive) -> Result<(), TaskError> {
        pending().await
    }
    let mut results =
        map_stream(&live(), stream, move |token, _: u32| held(token, of_items.another())).results();
    assert!(results.next().now_or_never().is_none());
    settle().await;
    assert_eq!((alive.load(SeqCst), stats_of("streams: dropped").running), (4, 2));
    drop(results);
    settle().await;
    assert_eq!((alive.load(SeqCst), stats_of("streams: dropped").running), (0, 0));
}

#[tokio::test]
async fn a_stream_is_not_polled_after_its_end() {
    struct Once(u32);
    impl Stream for Once {
        type Item = u32;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
            self.0 += 1;
            assert!(self.0 <= 3, "polled after its end");
            Poll::Ready((self.0 < 3).then_some(self.0))
        }
    }
    let mut results = map_stream(&live(), Once(0), double).limit(5).results();
    let all = all(&mut results).await;
    assert!(matches!(all[..], [Ok(2), Ok(4)]), "{all:?}");
    assert!(in_time(results.next()).await.is_none(), "again");
}

#[tokio::test]
async fn a_stream_that_panics_ends_with_that_panic() {
    struct Panics(u32);
    impl Stream for Panics {
        type Item = u32;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
            self.0 += 1;
            assert!(self.0 < 3, "the stream is broken");
            Poll::Ready(Some(self.0))
        }
    }
    for mut results in [
        map_stream(&live(), Panics(0), double).results(),
        map_stream(&live(), Panics(0), double).limit(1).unordered(),
    ] {
        let all = all(&mut results).await;
        let [Ok(2), Ok(4), Err(TaskError::Panicked(panic))] = &all[..] else { panic!("{all:?}") };
        assert!(panic.to_string().contains("the stream is broken"), "{panic}");
    }
}

#[tokio::test]
async fn a_closure_that_panics_is_the_panic_of_its_item() {
    for results in [
        map(&live(), 0..4, panics_at_two).limit(1).results(),
        map_stream(&live(), stream::iter(0..4), panics_at_two).limit(1).unordered(),
    ] {
        let mut results = results;
        let all = all(&mut results).await;
        assert!(matches!(all[..], [Ok(0), Ok(2), Err(TaskError::Panicked(_)), Ok(6)]), "{all:?}");
    }

    fn panics_at_two(
        token: CancellationToken,
        n: u32,
    ) -> impl tokio_supervised::SupervisedFuture<Value = u32, Error = TaskError> + Send + 'static
    {
        assert!(n != 2, "two");
        double(token, n)
    }
}

#[tokio::test]
async fn a_panicking_first_item_is_followed_by_the_others() {
    let mut results = map_stream(&live(), stream::iter(0..3), |token, n| {
        assert!(n > 1, "too small");
        double(token, n)
    })
    .results();
    let all = all(&mut results).await;
    assert!(
        matches!(all[..], [Err(TaskError::Panicked(_)), Err(TaskError::Panicked(_)), Ok(4)]),
        "{all:?}"
    );
}

#[tokio::test]
async fn a_failure_that_cannot_be_converted_panics_at_the_end() {
    #[derive(Debug)]
    struct Unmade;
    impl From<TaskError> for Unmade {
        fn from(_: TaskError) -> Self {
            panic!("no conversion")
        }
    }
    #[supervised(name = "streams: unmade")]
    async fn unmade(n: u32) -> Result<u32, Unmade> {
        assert!(n != 1, "one");
        Ok(n)
    }
    let mut results = map(&live(), 0..3, unmade).limit(1).results();
    assert!(matches!(in_time(results.next()).await, Some(Ok(0))));
    let panicked = std::panic::AssertUnwindSafe(in_time(results.next())).catch_unwind().await;
    assert!(panicked.is_err());
    assert!(in_time(results.next()).await.is_none());
}

#[tokio::test]
async fn the_size_hint_counts_what_is_left() {
    let results = map(&live(), 0..10, double).limit(2).results();
    assert_eq!(results.size_hint(), (0, Some(10)), "nothing has run");
    let mut results = results;
    assert!(in_time(results.next()).await.is_some());
    settle().await;
    let (least, most) = results.size_hint();
    assert!((2..=4).contains(&least) && most == Some(9), "{least} {most:?}");
    for _ in 0..9 {
        assert!(in_time(results.next()).await.is_some());
    }
    assert_eq!(results.size_hint().1, Some(0));
    assert!(!results.is_terminated());
    assert!(in_time(results.next()).await.is_none());
    assert!(results.is_terminated());
    assert_eq!(results.size_hint(), (0, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_crosses_a_stream() {
    #[supervised(name = "streams: deadline")]
    async fn left(_n: u32) -> Result<Option<Duration>, TaskError> {
        Ok(remaining())
    }
    let ends = within(&live(), SECOND, async move |token| {
        let mut of_stream = map_stream(&token, stream::iter(0..1), left).results();
        let left = in_time(of_stream.next()).await;
        assert!(matches!(left, Some(Ok(Some(left))) if left <= SECOND), "{left:?}");
        let mut results = map_stream(&token, stream::repeat(0), never).limit(2).unordered();
        Ok::<_, TaskError>(all(&mut results).await)
    })
    .await
    .unwrap();
    assert_eq!(ends.len(), 3);
    for end in ends {
        let Err(TaskError::Cancelled(cancelled)) = end else { panic!("{end:?}") };
        assert_eq!(cancelled.cause(), Cause::Deadline);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_handed_to_another_task() {
    let mut results = map(&live(), 0..100, double).limit(4).results();
    let mut sum = 0;
    for _ in 0..10 {
        sum += in_time(results.next()).await.unwrap().unwrap();
    }
    let rest = tokio::spawn(async move {
        let rest = all(&mut results).await;
        rest.into_iter().map(Result::unwrap).sum::<u32>()
    });
    assert_eq!(sum + in_time(rest).await.unwrap(), (0..100).map(|n| 2 * n).sum::<u32>());
}

#[tokio::test]
async fn a_map_runs_inside_a_stream() {
    #[supervised(name = "streams: outer", limit = 2)]
    async fn outer(token: CancellationToken, n: u32) -> Result<u32, TaskError> {
        let mut inner = map_stream(&token, stream::iter(0..n), double).results();
        let mut sum = 0;
        while let Some(result) = inner.next().await {
            sum += result?;
        }
        Ok(sum + map(&token, 0..n, double).await?.len() as u32)
    }
    let results = all(&mut map_stream(&live(), stream::iter(0..20), outer).results()).await;
    for (n, result) in (0..20).zip(results) {
        assert_eq!(result.unwrap(), n * n);
    }
}

#[test]
fn results_of_a_runtime_that_is_gone_end() {
    let other = runtime();
    let mut results =
        map_stream(&live(), stream::iter(0..3).chain(silence()), double).limit(8).results();
    other.block_on(async {
        assert!(matches!(results.next().await, Some(Ok(0))));
        settle().await;
    });
    drop(other);
    let all = runtime().block_on(all(&mut results));
    let [Ok(2), Ok(4), Err(TaskError::Cancelled(cancelled))] = &all[..] else { panic!("{all:?}") };
    assert_eq!(cancelled.cause(), Cause::RuntimeGone);
}

#[tokio::test]
async fn a_raised_limit_ends_the_pause() {
    #[supervised(name = "streams: raised", limit = 1)]
    async fn raised(n: u32) -> Result<u32, TaskError> {
        Ok(n)
    }
    let read = Arc::new(AtomicUsize::new(0));
    let mut results = map(&live(), counted(&read), raised).results();
    assert!(in_time(results.next()).await.is_some());
    settle().await;
    let before = read.load(SeqCst);
    tokio_supervised::set_limit("streams: raised", 5).unwrap();
    settle().await;
    assert!(read.load(SeqCst) >= before + 4, "{before} {}", read.load(SeqCst));
}

#[tokio::test]
async fn items_beyond_the_budget_do_not_starve_others() {
    let mut results = map(&live(), iter::repeat(1), double).limit(1).unordered();
    let stop = Arc::new(AtomicBool::new(false));
    let stops = stop.clone();
    tokio::spawn(async move {
        settle().await;
        stops.store(true, SeqCst);
    });
    in_time(async {
        while !stop.load(SeqCst) {
            assert!(results.next().await.is_some());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn items_of_a_stream_run_at_once() {
    #[supervised(name = "streams: meet")]
    async fn meet(barrier: Arc<Barrier>) -> Result<(), TaskError> {
        barrier.wait().await;
        Ok(())
    }
    let barrier = Arc::new(Barrier::new(8));
    let items = stream::repeat(barrier).take(80);
    let mut results = map_stream(&live(), items, meet).limit(8).unordered();
    assert_eq!(all(&mut results).await.len(), 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iterator_that_blocks_holds_back_no_finished_result() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut results = map(&live(), receiver, double).limit(4).results();
    for n in 0..50 {
        sender.send(n).expect("the map reads");
        assert_eq!(in_time(results.next()).await.unwrap().unwrap(), 2 * n);
    }
    drop(sender);
    assert!(in_time(results.next()).await.is_none());
}

#[tokio::test]
async fn a_channel_is_mapped_as_its_messages_arrive() {
    let (sender, receiver) = mpsc::channel(1);
    let mut results = map_stream(&live(), received(receiver), double).results();
    for n in 0..50 {
        let (sent, result) = in_time(futures::future::join(sender.send(n), results.next())).await;
        sent.expect("the map reads");
        assert_eq!(result.unwrap().unwrap(), 2 * n);
    }
    drop(sender);
    assert!(in_time(results.next()).await.is_none());
    assert_eq!(stats_of("streams: double").running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_polled_when_its_timer_fires() {
    let ticks = stream::unfold(0, async |n| {
        sleep(SECOND).await;
        Some((n, n + 1))
    });
    let started = Instant::now();
    let results = map_stream(&live(), Box::pin(ticks.take(5)), double).unordered();
    assert_eq!(in_time(results.count()).await, 5);
    assert_eq!(started.elapsed(), 5 * SECOND);
}

#[tokio::test]
async fn values_without_a_size_keep_their_order() {
    #[supervised(name = "streams: no size")]
    async fn wait(gate: Option<Arc<Semaphore>>) {
        if let Some(gate) = gate {
            gate.acquire().await.expect("it stays open").forget();
        }
    }
    let gate = Arc::new(Semaphore::new(0));
    let items = [Some(gate.clone()), None, None];
    let mut results = map(&live(), items, wait).limit(3).results();
    assert!(results.next().now_or_never().is_none());
    settle().await;
    assert!(results.next().now_or_never().is_none(), "the first item has not finished");
    gate.add_permits(1);
    assert_eq!(all(&mut results).await.len(), 3);
}
