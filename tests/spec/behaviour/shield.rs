//! Shielded sections, which cancellation does not interrupt until their deadline.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::{sync::Notify, time::Instant};
use tokio_supervised::{
    CancellationToken, Cause, Group, Outcome, TaskError, shield, supervised, task,
};

use testkit::{in_time, outcomes_of, poll_once, turn};

const LIMIT: Duration = Duration::from_secs(5);

/// A section that starts, waits until it is released, and ends.
#[derive(Clone, Default)]
struct Section {
    started: Arc<Notify>,
    go_on: Arc<Notify>,
    ended: Arc<AtomicBool>,
}

impl Section {
    async fn pass(self) {
        self.started.notify_one();
        self.go_on.notified().await;
        self.ended.store(true, SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(SeqCst)
    }
}

fn outcome_of(error: &TaskError) -> Outcome {
    error.outcome()
}

#[tokio::test(start_paused = true)]
async fn the_token_ends_the_run_right_after_the_section() {
    #[supervised(name = "shield: token")]
    async fn commit(section: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        pending().await
    }

    let (token, section) = (CancellationToken::new(), Section::default());
    let run = tokio::spawn(commit(token.clone(), section.clone()));
    in_time(section.started.notified()).await;
    token.cancel();
    for _ in 0..10 {
        turn().await;
    }
    assert!(!run.is_finished(), "the section delays the end of the run");
    section.go_on.notify_one();
    let error = in_time(run).await.unwrap().unwrap_err();
    assert!(section.has_ended());
    assert_eq!(outcome_of(&error), Outcome::Cancelled);
    assert_eq!(outcomes_of("shield: token"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_body_ends_with_its_section_keeps_its_value() {
    #[supervised(name = "shield: value")]
    async fn commit(section: Section) -> Result<u32, TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        Ok(7)
    }

    let (token, section) = (CancellationToken::new(), Section::default());
    let run = tokio::spawn(commit(token.clone(), section.clone()));
    in_time(section.started.notified()).await;
    token.cancel();
    turn().await;
    section.go_on.notify_one();
    assert_eq!(
        in_time(run).await.unwrap().unwrap(),
        7,
        "the work is done, so its value is returned"
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_waits_for_the_section() {
    #[supervised(name = "shield: timeout", timeout = "1s")]
    async fn commit(section: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        pending().await
    }

    let section = Section::default();
    let run = tokio::spawn(commit(CancellationToken::new(), section.clone()));
    in_time(section.started.notified()).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    turn().await;
    assert!(!run.is_finished());
    section.go_on.notify_one();
    let error = in_time(run).await.unwrap().unwrap_err();
    assert!(section.has_ended());
    assert_eq!(outcome_of(&error), Outcome::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_grace_waits_for_the_section() {
    #[supervised(name = "shield: grace", grace = "1s")]
    async fn commit(token: &CancellationToken, section: Section) -> Result<(), TaskError> {
        token.cancelled().await;
        shield(LIMIT, |_| section.pass()).await;
        pending().await
    }

    let (token, section) = (CancellationToken::new(), Section::default());
    let run = tokio::spawn(commit(token.clone(), section.clone()));
    turn().await;
    token.cancel();
    in_time(section.started.notified()).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    turn().await;
    assert!(!run.is_finished());
    section.go_on.notify_one();
    let error = in_time(run).await.unwrap().unwrap_err();
    assert!(section.has_ended());
    assert_eq!(outcome_of(&error), Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_section_past_its_limit_loses_its_protection() {
    #[supervised(name = "shield: inside")]
    async fn inside() -> Result<(), TaskError> {
        pending().await
    }

    #[supervised(name = "shield: limit")]
    async fn commit(seen: Arc<Mutex<Option<Cause>>>) -> Result<(), TaskError> {
        shield(LIMIT, |token| async move {
            if let Err(TaskError::Cancelled(cancelled)) = inside(&token).await {
                *seen.lock().unwrap() = Some(cancelled.cause());
            }
            pending::<()>().await;
        })
        .await;
        Ok(())
    }

    let (token, seen) = (CancellationToken::new(), Arc::new(Mutex::new(None)));
    let began = Instant::now();
    let run = tokio::spawn(commit(token.clone(), seen.clone()));
    turn().await;
    token.cancel();
    let error = in_time(run).await.unwrap().unwrap_err();
    assert_eq!(outcome_of(&error), Outcome::Cancelled);
    assert_eq!(began.elapsed(), LIMIT, "exactly at the limit");
    assert_eq!(*seen.lock().unwrap(), Some(Cause::ShieldLimit));
}

#[tokio::test(start_paused = true)]
async fn a_section_past_its_limit_continues_if_nothing_cancels_it() {
    let gave = in_time(shield(LIMIT, |token| async move {
        token.cancelled().await;
        tokio::time::sleep(LIMIT).await;
        "late"
    }));
    assert_eq!(gave.await, "late");
}

#[tokio::test(start_paused = true)]
async fn calls_in_a_section_do_not_see_the_outer_token() {
    #[supervised(name = "shield: call inside")]
    async fn inside(section: Section) -> Result<u32, TaskError> {
        section.pass().await;
        Ok(1)
    }

    #[supervised(name = "shield: call outside")]
    async fn outside(section: Section) -> Result<u32, TaskError> {
        shield(LIMIT, |token| inside(token, section)).await
    }

    let (token, section) = (CancellationToken::new(), Section::default());
    let run = tokio::spawn(outside(token.clone(), section.clone()));
    in_time(section.started.notified()).await;
    token.cancel();
    turn().await;
    section.go_on.notify_one();
    assert_eq!(in_time(run).await.unwrap().unwrap(), 1);
    assert_eq!(outcomes_of("shield: call inside"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn every_run_around_a_section_waits_for_it() {
    #[supervised(name = "shield: inner", timeout = "1s")]
    async fn inner(section: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        pending().await
    }

    #[supervised(name = "shield: outer", timeout = "2s")]
    async fn outer(token: &CancellationToken, section: Section) -> Result<(), TaskError> {
        inner(token, section).await
    }

    let section = Section::default();
    let run = tokio::spawn(outer(CancellationToken::new(), section.clone()));
    in_time(section.started.notified()).await;
    tokio::time::advance(Duration::from_secs(4)).await;
    turn().await;
    assert!(!run.is_finished());
    section.go_on.notify_one();
    in_time(run).await.unwrap().unwrap_err();
    assert!(section.has_ended());
    assert_eq!(outcomes_of("shield: inner"), [(Outcome::TimedOut, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_longer_of_nested_sections_protects_the_runs() {
    #[supervised(name = "shield: nested")]
    async fn nested(first: Section, second: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| async {
            first.pass().await;
            shield(LIMIT * 3, |_| second.pass()).await;
        })
        .await;
        pending().await
    }

    let token = CancellationToken::new();
    let (first, second) = (Section::default(), Section::default());
    let run = tokio::spawn(nested(token.clone(), first.clone(), second.clone()));
    in_time(first.started.notified()).await;
    token.cancel();
    first.go_on.notify_one();
    in_time(second.started.notified()).await;
    tokio::time::advance(LIMIT * 2).await;
    turn().await;
    assert!(!run.is_finished(), "the outer limit has passed, the inner one has not");
    second.go_on.notify_one();
    in_time(run).await.unwrap().unwrap_err();
    assert!(second.has_ended());
}

#[tokio::test(start_paused = true)]
async fn joined_sections_protect_the_run_until_the_last_has_ended() {
    #[supervised(name = "shield: joined")]
    async fn joined(first: Section, second: Section) -> Result<(), TaskError> {
        tokio::join!(shield(LIMIT, |_| first.pass()), shield(LIMIT, |_| second.pass()));
        pending().await
    }

    let token = CancellationToken::new();
    let (first, second) = (Section::default(), Section::default());
    let run = tokio::spawn(joined(token.clone(), first.clone(), second.clone()));
    in_time(second.started.notified()).await;
    token.cancel();
    turn().await;
    first.go_on.notify_one();
    while !first.has_ended() {
        turn().await;
    }
    turn().await;
    assert!(!run.is_finished());
    second.go_on.notify_one();
    in_time(run).await.unwrap().unwrap_err();
    assert!(second.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_section_in_an_unpolled_branch_protects_the_run() {
    type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Polls only the children that were woken: while the other child is polled, the section is not.
    #[supervised(name = "shield: unordered")]
    async fn unordered(section: Section, other: Arc<Notify>) -> Result<(), TaskError> {
        let noise = async move {
            loop {
                other.notified().await;
            }
        };
        let mut branches: FuturesUnordered<Boxed> = FuturesUnordered::new();
        branches.push(Box::pin(shield(LIMIT, |_| section.pass())));
        branches.push(Box::pin(noise));
        while branches.next().await.is_some() {}
        Ok(())
    }

    let (token, section, other) =
        (CancellationToken::new(), Section::default(), Arc::new(Notify::new()));
    let run = tokio::spawn(unordered(token.clone(), section.clone(), other.clone()));
    in_time(section.started.notified()).await;
    token.cancel();
    for _ in 0..5 {
        other.notify_one();
        turn().await;
    }
    assert!(!run.is_finished());
    section.go_on.notify_one();
    in_time(run).await.unwrap().unwrap_err();
    assert!(section.has_ended());
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_section_protects_the_run_until_its_limit() {
    #[supervised(name = "shield: forgotten")]
    async fn forgotten(section: Section) -> Result<(), TaskError> {
        let mut pending_section = Box::pin(shield(LIMIT, |_| section.pass()));
        assert!(poll_once(pending_section.as_mut()).is_pending());
        pending().await
    }

    let token = CancellationToken::new();
    let began = Instant::now();
    let run = tokio::spawn(forgotten(token.clone(), Section::default()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_losing_branch_and_an_abort_end_a_section() {
    let section = Section::default();
    tokio::select! {
        biased;
        () = shield(LIMIT, |_| section.clone().pass()) => unreachable!("the section is never released"),
        () = turn() => {}
    }
    assert!(!section.has_ended());

    #[supervised(name = "shield: aborted")]
    async fn aborted(section: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        Ok(())
    }
    let run = tokio::spawn(aborted(CancellationToken::new(), section.clone()));
    turn().await;
    run.abort();
    assert!(in_time(run).await.unwrap_err().is_cancelled());
    assert_eq!(outcomes_of("shield: aborted"), [(Outcome::Dropped, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_ends_when_its_section_is_dropped() {
    type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Starts a section, hands it to another task, and waits for ever.
    #[supervised(name = "shield: handed out")]
    async fn hands_out(to: tokio::sync::oneshot::Sender<Boxed>) -> Result<(), TaskError> {
        let mut section: Boxed = Box::pin(shield(LIMIT, |_| pending()));
        assert!(poll_once(section.as_mut()).is_pending());
        drop(to.send(section));
        pending().await
    }

    let token = CancellationToken::new();
    let (to, handed_out) = tokio::sync::oneshot::channel();
    let began = Instant::now();
    let run = tokio::spawn(hands_out(token.clone(), to));
    let section = in_time(handed_out).await.unwrap();
    token.cancel();
    turn().await;
    assert!(!run.is_finished());
    drop(section);
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO, "at once, not at the limit");
}

#[tokio::test(start_paused = true)]
async fn a_panic_inside_ends_the_protection_with_the_section() {
    #[supervised(name = "shield: panic")]
    async fn panics(go_on: Arc<Notify>) -> Result<(), TaskError> {
        shield(LIMIT, |_| async move {
            go_on.notified().await;
            panic!("in the section");
        })
        .await;
        Ok(())
    }

    let (token, go_on) = (CancellationToken::new(), Arc::new(Notify::new()));
    let run = tokio::spawn(panics(token.clone(), go_on.clone()));
    turn().await;
    token.cancel();
    turn().await;
    go_on.notify_one();
    let error = in_time(run).await.unwrap().unwrap_err();
    assert_eq!(outcome_of(&error), Outcome::Panicked);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_waits_for_the_sections_of_its_tasks() {
    #[supervised(name = "shield: in a group")]
    async fn commit(section: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        pending().await
    }

    let section = Section::default();
    let group = Group::new(&CancellationToken::new()).grace(Duration::from_secs(1));
    let inside = section.clone();
    group.spawn(|token| commit(token, inside)).await;
    in_time(section.started.notified()).await;
    group
        .spawn(task!("shield: fails", |_| -> Result<(), TaskError> { panic!("the sibling") }))
        .await;
    let mut join = Box::pin(group.join());
    for _ in 0..10 {
        assert!(poll_once(join.as_mut()).is_pending());
        turn().await;
    }
    section.go_on.notify_one();
    in_time(join).await.unwrap_err();
    assert!(section.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_section_outside_of_any_run_is_a_plain_future() {
    let section = Section::default();
    section.go_on.notify_one();
    in_time(shield(LIMIT, |_| section.clone().pass())).await;
    assert!(section.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_started_elsewhere_keeps_its_section() {
    #[supervised(name = "shield: brought along")]
    async fn inner(section: Section) -> Result<(), TaskError> {
        shield(LIMIT, |_| section.pass()).await;
        Ok(())
    }

    #[supervised(name = "shield: adopts")]
    async fn outer<F: Future<Output = Result<(), TaskError>> + Send>(
        inner: Pin<Box<F>>,
    ) -> Result<(), TaskError> {
        inner.await?;
        pending().await
    }

    let (token, section) = (CancellationToken::new(), Section::default());
    let mut started = Box::pin(inner(CancellationToken::new(), section.clone()));
    assert!(poll_once(started.as_mut()).is_pending(), "started outside of any run");
    let run = tokio::spawn(outer(token.clone(), started));
    turn().await;
    token.cancel();
    turn().await;
    assert!(!run.is_finished());
    section.go_on.notify_one();
    in_time(run).await.unwrap().unwrap_err();
    assert!(section.has_ended());
}
