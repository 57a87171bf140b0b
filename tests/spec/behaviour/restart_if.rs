//! `restart_if`: which errors a restart follows.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, supervised};

use testkit::{in_time, outcomes_of, stats_of};

#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[derive(Debug)]
enum Failure {
    Transient,
    Permanent,
    Task(&'static str),
}

impl Failure {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Transient)
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self::Task(error.task())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient => f.write_str("transient"),
            Self::Permanent => f.write_str("permanent"),
            Self::Task(task) => write!(f, "task `{task}` failed"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_the_filter_refuses_ends_the_call() {
    #[supervised(
        restart = "on-failure",
        restart_if = Failure::is_transient,
        name = "restart_if: refused"
    )]
    async fn work(count: Count) -> Result<(), Failure> {
        match count.next() {
            1 | 2 => Err(Failure::Transient),
            _ => Err(Failure::Permanent),
        }
    }

    let result = in_time(work(&CancellationToken::new(), Count::default())).await;
    assert!(matches!(result, Err(Failure::Permanent)), "{result:?}");
    let stats = stats_of("restart_if: refused");
    assert_eq!((stats.started, stats.restarts), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn panics_and_timeouts_are_not_filtered() {
    fn never(_: &Failure) -> bool {
        false
    }

    #[supervised(
        restart = "on-failure",
        restart_if = never,
        timeout = "1s",
        name = "restart_if: not filtered"
    )]
    async fn work(count: Count) -> Result<(), Failure> {
        match count.next() {
            1 => panic!("as it was asked to"),
            2 => tokio::time::sleep(Duration::MAX).await,
            _ => {}
        }
        Ok(())
    }

    in_time(work(&CancellationToken::new(), Count::default())).await.unwrap();
    let outcomes = [Outcome::Ok, Outcome::Panicked, Outcome::TimedOut];
    assert_eq!(outcomes_of("restart_if: not filtered"), outcomes.map(|outcome| (outcome, 1)));
}

#[tokio::test(start_paused = true)]
async fn always_restarts_after_success_whatever_the_filter_says() {
    fn never(_: &Failure) -> bool {
        false
    }

    #[supervised(restart = "always", restart_if = never, name = "restart_if: always")]
    async fn work(count: Count) -> Result<(), Failure> {
        if count.next() < 3 { Ok(()) } else { Err(Failure::Transient) }
    }

    let result = in_time(work(&CancellationToken::new(), Count::default())).await;
    assert!(matches!(result, Err(Failure::Transient)), "{result:?}");
    assert_eq!(outcomes_of("restart_if: always"), [(Outcome::Ok, 2), (Outcome::Error, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_generic_function_names_a_filter_of_its_error() {
    trait Retry {
        fn retries(&self) -> bool;
    }

    impl Retry for io::Error {
        fn retries(&self) -> bool {
            self.kind() == io::ErrorKind::Interrupted
        }
    }

    #[supervised(restart = "on-failure", restart_if = E::retries, name = "restart_if: generic")]
    async fn work<E>(count: Count, error: fn(u32) -> E) -> Result<(), E>
    where
        E: Retry + From<TaskError> + fmt::Display + Send + 'static,
    {
        Err(error(count.next()))
    }

    fn error(number: u32) -> io::Error {
        let kind = if number < 3 { io::ErrorKind::Interrupted } else { io::ErrorKind::InvalidData };
        io::Error::new(kind, "as it was asked to")
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| work(token, Count::default(), error)).await;
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(outcomes_of("restart_if: generic"), [(Outcome::Error, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_token_given_by_value_fits_a_filter() {
    #[supervised(restart = "on-failure", restart_if = Failure::is_transient)]
    async fn work(token: CancellationToken, count: Count) -> Result<u32, Failure> {
        assert!(!token.is_cancelled());
        match count.next() {
            1 => Err(Failure::Transient),
            number => Ok(number),
        }
    }

    let number = in_time(work(CancellationToken::new(), Count::default())).await;
    assert_eq!(number.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_panics_ends_the_call_with_the_error() {
    fn panics(_: &Failure) -> bool {
        panic!("as it was asked to")
    }

    #[supervised(restart = "on-failure", restart_if = panics, name = "restart_if: panics")]
    async fn work() -> Result<(), Failure> {
        Err(Failure::Permanent)
    }

    let result = in_time(work(&CancellationToken::new())).await;
    assert!(matches!(result, Err(Failure::Permanent)), "{result:?}");
    assert_eq!(outcomes_of("restart_if: panics"), [(Outcome::Error, 1)]);
}
