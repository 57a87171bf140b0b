//! The line at which each task waits. A comment with the name of the function is above the line that it waits at.

mod elsewhere;

use std::{
    future::{Future, pending},
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::LocalSet,
};
use tokio_supervised::{
    CancellationToken, Group, LiveTask, Pool, SupervisedFuture, TaskError, TaskState, map,
    map_stream, shield, supervised, task, tasks, within,
};

use testkit::{in_time, turn};

const SOURCE: &str = include_str!("lines.rs");

/// The number of the line below the comment `waits: name`.
fn marked(name: &str) -> u32 {
    let comment = format!("// waits: {name}");
    let mut lines = SOURCE.lines().zip(2..).filter(|(line, _)| line.trim() == comment);
    let (_, line) = lines.next().expect("the line exists");
    assert_eq!(lines.next(), None, "{name}");
    line
}

fn named(name: &str) -> Option<LiveTask> {
    tasks().iter().find(|task| task.name == name).cloned()
}

/// Yields until the task of that name waits at a line.
async fn pending_task(name: &str, does: impl Fn(&LiveTask) -> bool) -> LiveTask {
    in_time(async {
        loop {
            match named(name) {
                Some(task) if task.waiting_at().is_some() && does(&task) => return task,
                _ => turn().await,
            }
        }
    })
    .await
}

/// The frames of a task, as the names of the functions. Each must be at the line with its name.
fn chain(task: &LiveTask) -> Vec<&'static str> {
    let frames = task.frames().iter().map(|frame| {
        assert_eq!(frame.line, Some(marked(frame.name)), "{frame}");
        assert_eq!(frame.file, Some(file!()));
        frame.name
    });
    frames.collect()
}

/// Spawns a run, and checks the chain that it shows.
async fn shows<S>(expected: &[&str], run: impl FnOnce(CancellationToken) -> S)
where
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let pool = Pool::new(1);
    pool.spawn(run).await.unwrap();
    let task = pending_task(expected[0], |_| true).await;
    assert_eq!(chain(&task), expected);
}

type Done = Result<(), TaskError>;

async fn never() -> Done {
    pending().await
}

async fn at_once<T>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_plain_await_is_shown() {
    #[supervised(name = "plain")]
    async fn plain() -> Done {
        at_once(1).await;
        // waits: plain
        never().await?;
        at_once(2).await;
        Ok(())
    }
    shows(&["plain"], plain).await;
}

#[tokio::test]
async fn an_await_in_a_nested_block_is_shown() {
    #[supervised(name = "nested block")]
    async fn nested() -> Done {
        at_once(1).await;
        if at_once(true).await {
            {
                let value = at_once(2).await;
                assert_eq!(value, 2);
                // waits: nested block
                never().await?;
            }
        }
        Ok(())
    }
    shows(&["nested block"], nested).await;
}

#[tokio::test]
async fn the_await_of_a_method_chain_is_shown() {
    struct Client(u32);
    impl Client {
        async fn get(self) -> Self {
            self
        }
        async fn last(self) -> Result<u32, TaskError> {
            pending::<()>().await;
            Ok(self.0)
        }
    }
    #[supervised(name = "method chain")]
    async fn chained() -> Done {
        let sum = Client(1)
            .get()
            .await
            .get()
            .await
            .last()
            // waits: method chain
            .await?
            + 1;
        assert_eq!(sum, 2);
        Ok(())
    }
    shows(&["method chain"], chained).await;
}

#[tokio::test]
async fn the_await_of_a_match_scrutinee_is_shown() {
    #[supervised(name = "scrutinee")]
    async fn scrutinee() -> Done {
        // waits: scrutinee
        match never().await {
            Ok(()) => at_once(Ok(())).await,
            Err(error) => Err(error),
        }
    }
    shows(&["scrutinee"], scrutinee).await;
}

#[tokio::test]
async fn the_await_of_a_match_arm_is_shown() {
    #[supervised(name = "arm")]
    async fn arm() -> Done {
        match at_once(1).await {
            // waits: arm
            1 => never().await,
            _ => Ok(()),
        }
    }
    shows(&["arm"], arm).await;
}

#[tokio::test]
async fn the_await_of_a_while_let_is_shown() {
    #[supervised(name = "while let")]
    async fn while_let(mut items: mpsc::Receiver<u32>) -> Done {
        // waits: while let
        while let Some(item) = items.recv().await {
            at_once(item).await;
        }
        Ok(())
    }
    let (send, items) = mpsc::channel(2);
    send.send(1).await.unwrap();
    shows(&["while let"], |token| while_let(token, items)).await;
    drop(send);
}

#[tokio::test]
async fn the_await_of_a_loop_is_shown() {
    #[supervised(name = "loop")]
    async fn looped() -> Done {
        let mut turns = 0;
        loop {
            turns += 1;
            if turns == 3 {
                // waits: loop
                never().await?;
            }
            at_once(turns).await;
        }
    }
    shows(&["loop"], looped).await;
}

#[tokio::test]
async fn a_select_is_shown() {
    #[supervised(name = "select")]
    async fn selects() -> Done {
        loop {
            at_once(()).await;
            // waits: select
            tokio::select! {
                done = never() => return done,
                () = pending() => {}
            }
        }
    }
    shows(&["select"], selects).await;
}

#[tokio::test]
async fn a_select_as_a_value_is_shown() {
    #[supervised(name = "select value")]
    async fn selects() -> Done {
        at_once(()).await;
        // waits: select value
        let done = tokio::select! {
            done = never() => done,
            () = pending() => Ok(()),
        };
        at_once(done).await
    }
    shows(&["select value"], selects).await;
}

#[tokio::test]
async fn a_join_is_shown() {
    #[supervised(name = "join")]
    async fn joins() -> Done {
        at_once(()).await;
        // waits: join
        let (done, ()) = tokio::join!(never(), at_once(()));
        done
    }
    shows(&["join"], joins).await;
}

#[tokio::test]
async fn a_macro_that_awaits_is_shown() {
    macro_rules! finish {
        ($future:expr) => {
            $future.await
        };
    }
    #[supervised(name = "macro")]
    async fn expands() -> Done {
        at_once(()).await;
        // waits: macro
        assert!(never().await.is_ok());
        finish!(at_once(()));
        Ok(())
    }
    shows(&["macro"], expands).await;
}

#[tokio::test]
async fn an_await_in_an_async_block_is_shown() {
    #[supervised(name = "async block")]
    async fn block() -> Done {
        let done = async {
            at_once(()).await;
            // waits: async block
            never().await
        };
        done.await
    }
    shows(&["async block"], block).await;
}

#[tokio::test]
async fn an_await_in_a_closure_is_shown() {
    #[supervised(name = "closure")]
    async fn closure() -> Done {
        let make = |number: u32| async move {
            at_once(number).await;
            // waits: closure
            never().await
        };
        make(7).await
    }
    shows(&["closure"], closure).await;
}

#[tokio::test]
async fn the_await_of_a_let_else_is_shown() {
    #[supervised(name = "let else")]
    async fn let_else() -> Done {
        at_once(()).await;
        // waits: let else
        let Ok(()) = never().await else {
            return at_once(Ok(())).await;
        };
        Ok(())
    }
    shows(&["let else"], let_else).await;
}

#[tokio::test]
async fn the_right_side_of_an_and_is_shown() {
    #[supervised(name = "and")]
    async fn and() -> Done {
        let done = at_once(true).await
            // waits: and
            && never().await.is_ok();
        assert!(done);
        Ok(())
    }
    shows(&["and"], and).await;
}

#[tokio::test]
async fn a_block_as_an_operand_is_shown() {
    #[supervised(name = "operand block")]
    async fn operand() -> Done {
        let both = (
            at_once(1).await,
            {
                let number = at_once(2).await;
                assert_eq!(number, 2);
                never()
            }
            // waits: operand block
            .await,
        );
        both.1
    }
    shows(&["operand block"], operand).await;
}

#[tokio::test]
async fn a_mark_is_not_overwritten_before_its_await() {
    #[supervised(name = "inner first")]
    async fn inner_first() -> Done {
        let added = |number: u32, done: Done| done.map(|()| number);
        let number = added(
            if at_once(true).await { at_once(1).await } else { 0 },
            // waits: inner first
            never().await,
        );
        number.map(drop)
    }
    shows(&["inner first"], inner_first).await;
}

#[tokio::test]
async fn a_task_shows_its_line() {
    let run = task!("task macro", on_cancel = "drop", |token| -> Done {
        at_once(&token).await;
        // waits: task macro
        never().await
    });
    shows(&["task macro"], run).await;
}

#[tokio::test]
async fn the_future_of_a_task_shows_its_line() {
    let run = task!("task future", on_cancel = "drop", |token| async move {
        at_once(&token).await;
        // waits: task future
        never().await
    });
    shows(&["task future"], run).await;
}

#[tokio::test]
async fn calls_are_shown_as_a_chain() {
    #[supervised(name = "outer", on_cancel = "drop")]
    async fn outer(token: &CancellationToken) -> Done {
        at_once(()).await;
        // waits: outer
        middle(token).await
    }
    #[supervised(name = "middle", on_cancel = "drop")]
    async fn middle(token: &CancellationToken) -> Done {
        // waits: middle
        within(token, Duration::from_secs(60), inner).await?;
        Ok(())
    }
    #[supervised(name = "inner")]
    async fn inner() -> Done {
        // waits: inner
        never().await
    }
    shows(&["outer", "middle", "inner"], outer).await;
}

#[tokio::test]
async fn a_caller_keeps_its_line_while_a_call_is_ready() {
    #[supervised(name = "caller", on_cancel = "drop")]
    async fn caller(token: &CancellationToken) -> Done {
        // waits: caller
        let (_, done) = tokio::join!(callee(token), never());
        done
    }
    #[supervised(name = "callee")]
    async fn callee() -> Done {
        at_once(()).await;
        Ok(())
    }
    shows(&["caller"], caller).await;
}

#[tokio::test]
async fn a_call_that_has_returned_is_not_shown() {
    #[supervised(name = "went on", on_cancel = "drop")]
    async fn went_on(token: &CancellationToken, go: Arc<Notify>) -> Done {
        // waits: went on
        first(token, go).await.and(never().await)
    }
    #[supervised(name = "first")]
    async fn first(go: Arc<Notify>) -> Done {
        // waits: first
        go.notified().await;
        Ok(())
    }
    let (pool, go) = (Pool::new(1), Arc::new(Notify::new()));
    pool.spawn(|token| went_on(token, go.clone())).await.unwrap();
    let task = pending_task("went on", |_| true).await;
    assert_eq!(chain(&task), ["went on", "first"]);
    go.notify_one();
    let task = pending_task("went on", |task| task.frames().len() == 1).await;
    assert_eq!(chain(&task), ["went on"]);
}

#[tokio::test]
async fn a_call_dropped_by_a_select_is_not_shown() {
    #[supervised(name = "selected", on_cancel = "drop")]
    async fn selected(token: &CancellationToken) -> Done {
        tokio::select! {
            biased;
            done = loser(token) => return done,
            () = at_once(()) => {}
        }
        // waits: selected
        never().await
    }
    #[supervised(name = "loser")]
    async fn loser() -> Done {
        never().await
    }
    shows(&["selected"], selected).await;
}

#[tokio::test]
async fn of_joined_calls_the_pending_one_is_shown() {
    #[supervised(name = "joining", on_cancel = "drop")]
    async fn joining(token: &CancellationToken) -> Done {
        // waits: joining
        let (slow, quick) = tokio::join!(slow(token), quick(token));
        slow.and(quick)
    }
    #[supervised(name = "slow")]
    async fn slow() -> Done {
        // waits: slow
        never().await
    }
    #[supervised(name = "quick")]
    async fn quick() -> Done {
        tokio::task::yield_now().await;
        Ok(())
    }
    let pool = Pool::new(1);
    pool.spawn(joining).await.unwrap();
    let is_slow = |task: &LiveTask| task.frames().last().is_some_and(|last| last.name == "slow");
    let task = pending_task("joining", is_slow).await;
    assert_eq!(chain(&task), ["joining", "slow"]);
}

#[tokio::test]
async fn eight_calls_are_shown() {
    #[supervised(name = "deep")]
    async fn deep(inner: Pin<Box<dyn Future<Output = Done> + Send>>) -> Done {
        // waits: deep
        inner.await
    }
    let pool = Pool::new(1);
    let run = |token: CancellationToken| {
        let inner = (0..11).fold(Box::pin(never()) as Pin<Box<_>>, |inner, _| {
            Box::pin(deep(token.clone(), inner))
        });
        deep(token, inner)
    };
    pool.spawn(run).await.unwrap();
    let task = pending_task("deep", |_| true).await;
    assert_eq!(chain(&task), ["deep"; 8]);
    assert!(task.to_string().contains(" → … 4 deeper for "), "{task}");
}

#[tokio::test]
async fn a_shield_and_its_call_are_one_chain() {
    #[supervised(name = "shielding", on_cancel = "drop")]
    async fn shielding(token: &CancellationToken) -> Done {
        // waits: shielding
        shield(Duration::from_secs(60), |_| shielded(token)).await
    }
    #[supervised(name = "shielded")]
    async fn shielded() -> Done {
        // waits: shielded
        never().await
    }
    shows(&["shielding", "shielded"], shielding).await;
}

#[tokio::test]
async fn a_restarted_run_shows_its_own_line() {
    #[supervised(name = "restarted", restart = "on-failure", backoff = "1ms..2ms")]
    async fn restarted(again: Arc<AtomicBool>) -> io::Result<()> {
        if !again.swap(true, Ordering::Relaxed) {
            return Err(at_once(io::Error::other("the first run fails")).await);
        }
        // waits: restarted
        Ok(never().await?)
    }
    let (pool, again) = (Pool::new(1), Arc::new(AtomicBool::new(false)));
    pool.spawn(|token| restarted(token, again)).await.unwrap();
    let task = pending_task("restarted", |_| true).await;
    assert_eq!(chain(&task), ["restarted"]);
}

#[tokio::test]
async fn a_task_of_a_group_shows_its_line() {
    #[supervised(name = "group task")]
    async fn member() -> Done {
        // waits: group task
        never().await
    }
    let group = Group::new(&CancellationToken::new());
    group.spawn(member).await;
    let task = pending_task("group task", |_| true).await;
    assert_eq!(chain(&task), ["group task"]);
}

#[tokio::test]
async fn an_item_of_a_map_shows_its_line() {
    #[supervised(name = "map item", limit = 2)]
    async fn item(number: u32) -> Done {
        if number < 5 {
            return at_once(Ok(())).await;
        }
        // waits: map item
        never().await
    }
    let token = CancellationToken::new();
    let mut all = pin!(map(&token, 0..8, item).into_future());
    let found = async {
        let task = pending_task("map item", |_| true).await;
        assert_eq!(chain(&task), ["map item"]);
    };
    tokio::select! {
        _ = &mut all => panic!("two items never end"),
        () = found => {}
    }
}

#[tokio::test]
async fn a_function_without_lines_shows_none() {
    #[supervised(name = "no lines", lines = false)]
    async fn quiet() -> Done {
        never().await
    }
    let pool = Pool::new(1);
    pool.spawn(quiet).await.unwrap();
    turn().await;
    turn().await;
    let task = named("no lines").unwrap();
    assert_eq!((task.state, task.frames().len()), (TaskState::Running, 0));
    assert_eq!((task.waiting_at(), task.waiting_for()), (None, None));
}

#[tokio::test]
async fn a_call_without_lines_is_a_name_in_the_chain() {
    #[supervised(name = "loud", on_cancel = "drop")]
    async fn loud(token: &CancellationToken) -> Done {
        // waits: loud
        quiet(token).await
    }
    #[supervised(name = "quiet call", lines = false)]
    async fn quiet() -> Done {
        never().await
    }
    let pool = Pool::new(1);
    pool.spawn(loud).await.unwrap();
    let task = pending_task("loud", |_| true).await;
    let frames: Vec<_> = task.frames().iter().map(|frame| (frame.name, frame.line)).collect();
    assert_eq!(frames, [("loud", Some(marked("loud"))), ("quiet call", None)]);
    assert_eq!(task.waiting_at().map(|frame| frame.name), Some("loud"));
}

#[tokio::test]
async fn a_task_that_waits_for_a_permit_shows_no_line() {
    #[supervised(name = "queued", limit = 1)]
    async fn queued() -> Done {
        never().await
    }
    let (token, pool) = (CancellationToken::new(), Pool::new(1));
    let mut holder = pin!(queued(&token));
    assert!(testkit::poll_once(holder.as_mut()).is_pending());
    pool.spawn(holding).await.unwrap();
    #[supervised(name = "queues inside", on_cancel = "drop")]
    async fn holding(token: &CancellationToken) -> Done {
        // waits: queues inside
        queued(token).await
    }
    let task = pending_task("queues inside", |_| true).await;
    assert_eq!(chain(&task), ["queues inside"]);
}

#[tokio::test]
async fn a_loop_shows_the_time_of_its_last_wait() {
    #[supervised(name = "turns")]
    async fn turns(mut items: mpsc::Receiver<()>) -> Done {
        // waits: turns
        while items.recv().await.is_some() {}
        Ok(())
    }
    let (send, items) = mpsc::channel(1);
    let pool = Pool::new(1);
    pool.spawn(|token| turns(token, items)).await.unwrap();
    let long = Duration::from_millis(20);
    let waited = |task: &LiveTask| task.waiting_for().unwrap();
    pending_task("turns", |task| waited(task) > long).await;
    send.send(()).await.unwrap();
    let task = pending_task("turns", |task| waited(task) < long).await;
    assert!(task.age > long);
    pending_task("turns", |task| waited(task) > long).await;
}

#[tokio::test]
async fn a_spurious_poll_does_not_end_a_wait() {
    #[supervised(name = "woken")]
    async fn woken(wake: Arc<Notify>) -> Done {
        // waits: woken
        let (done, ()) = tokio::join!(never(), notified(wake));
        done
    }
    async fn notified(wake: Arc<Notify>) {
        loop {
            wake.notified().await;
        }
    }
    let (pool, wake) = (Pool::new(1), Arc::new(Notify::new()));
    pool.spawn(|token| woken(token, wake.clone())).await.unwrap();
    let long = Duration::from_millis(20);
    pending_task("woken", |task| task.waiting_for().unwrap() > long).await;
    wake.notify_one();
    turn().await;
    let task = pending_task("woken", |_| true).await;
    assert!(task.waiting_for().unwrap() > long);
}

#[tokio::test]
async fn a_block_polled_elsewhere_shows_its_own_file() {
    #[supervised(name = "passes a block", on_cancel = "drop")]
    async fn passes(token: &CancellationToken) -> Done {
        let block = async {
            at_once(()).await;
            // waits: passed block
            never().await
        };
        // waits: passes a block
        elsewhere::polls(token, block).await
    }
    let pool = Pool::new(1);
    pool.spawn(passes).await.unwrap();
    let task = pending_task("passes a block", |task| task.frames().len() == 2).await;
    let inner = task.waiting_at().unwrap();
    assert_eq!(inner.name, "polls a block");
    assert_eq!((inner.file, inner.line), (Some(file!()), Some(marked("passed block"))));
}

#[tokio::test]
async fn a_task_of_a_local_set_has_its_own_lines() {
    #[supervised(name = "local member")]
    async fn member() -> Done {
        // waits: local member
        never().await
    }
    #[supervised(name = "drives a set", on_cancel = "drop")]
    async fn drives(token: &CancellationToken) -> Done {
        let (set, group) = (LocalSet::new(), Group::new(token));
        set.run_until(async {
            group.spawn_local(member).await;
            // waits: drives a set
            never().await
        })
        .await
    }
    let pool = Pool::new(1);
    let found = async {
        pool.spawn_local(drives).await.unwrap();
        for name in ["local member", "drives a set"] {
            let task = pending_task(name, |_| true).await;
            assert_eq!(chain(&task), [name]);
        }
    };
    LocalSet::new().run_until(found).await;
}

#[tokio::test]
async fn a_task_that_drives_others_keeps_its_chain() {
    #[supervised(name = "local spinner")]
    async fn spins() -> Done {
        loop {
            tokio::task::yield_now().await;
        }
    }
    #[supervised(name = "call of a driver")]
    async fn call() -> Done {
        // waits: call of a driver
        never().await
    }
    #[supervised(name = "drives after a call", on_cancel = "drop")]
    async fn drives(token: &CancellationToken) -> Done {
        let (set, group) = (LocalSet::new(), Group::new(token));
        set.run_until(group.spawn_local(spins)).await;
        // waits: drives after a call
        let (called, ()) = tokio::join!(biased; call(token), set);
        called
    }
    let pool = Pool::new(1);
    let found = async {
        pool.spawn_local(drives).await.unwrap();
        let task = pending_task("drives after a call", |task| task.frames().len() == 2).await;
        assert_eq!(chain(&task), ["drives after a call", "call of a driver"]);
    };
    LocalSet::new().run_until(found).await;
}

#[test]
fn lines_do_not_change_the_size_of_a_future() {
    macro_rules! sized {
        ($name:ident, $lines:literal) => {
            #[supervised(lines = $lines)]
            async fn $name(items: Vec<u64>) -> Result<u64, TaskError> {
                let mut sum = at_once(items.len() as u64).await;
                for item in items {
                    sum += match at_once(item).await {
                        0 => at_once([0_u64; 16]).await[3],
                        item if item > 5 => at_once(at_once(item).await).await,
                        item => item,
                    };
                    while let Some(more) = at_once(Some(sum)).await.filter(|sum| *sum < 100) {
                        sum += more;
                    }
                }
                tokio::select! {
                    sum = at_once(sum) => return Ok(sum),
                    () = pending() => {}
                }
                let block = async move { at_once(sum).await + at_once(1).await };
                Ok(block.await)
            }
        };
    }
    sized!(with, true);
    sized!(without, false);
    let token = CancellationToken::new();
    let (with, without) = (with(&token, vec![1]), without(&token, vec![1]));
    assert_eq!(size_of_val(&with), size_of_val(&without));
}

#[tokio::test]
async fn a_worker_of_a_map_without_an_item_shows_no_line() {
    #[supervised(name = "lines: idle worker")]
    async fn pends(n: u32) -> Result<u32, TaskError> {
        tokio::task::yield_now().await;
        Ok(n)
    }

    let (items, mut queue) = mpsc::unbounded_channel();
    let queue = futures::stream::poll_fn(move |cx| queue.poll_recv(cx));
    let token = CancellationToken::new();
    let mut results =
        map_stream(&token, queue, |token, n| pends(token, n).label(n)).limit(2).unordered();
    for n in 0..10 {
        items.send(n).unwrap();
        assert_eq!(in_time(results.next()).await.unwrap().unwrap(), n);
        turn().await;
        for task in tasks().iter().filter(|task| task.name == "lines: idle worker") {
            let shown = (task.state, task.waiting_at(), task.label());
            assert_eq!(shown, (TaskState::Waiting, None, None), "{task}");
        }
    }
}
