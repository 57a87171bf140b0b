//! A worker under test, and what its function does.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use testkit::watchdog::in_hours;
use tokio::{join, time::sleep};
use tokio_supervised::{CancellationToken, TaskError, supervised};
use tokio_supervised_worker::{Class, MemoryQueue, Queue, Worker, WorkerError};

/// What one attempt at a message does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Work(Duration),
    Fail(Class),
    Panic,
}

#[derive(Debug)]
pub(crate) enum Failure {
    Task(TaskError),
    Classified(Class),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(error) => error.fmt(f),
            Self::Classified(class) => write!(f, "a {class:?} failure"),
        }
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl Failure {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Task(_) => Class::Transient,
            Self::Classified(class) => *class,
        }
    }
}

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Start(String),
    End(String),
    Cancelled(String),
}

/// The effects of a worker's function, and what it does.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    acts: HashMap<String, Vec<Act>>,
    events: Vec<Event>,
    running: usize,
    most: usize,
}

impl Desk {
    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what the attempts at a message do; the last is repeated.
    pub(crate) fn acts(self, id: &str, acts: impl IntoIterator<Item = Act>) -> Self {
        self.with(|inner| inner.acts.insert(id.to_owned(), acts.into_iter().collect()));
        self
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.with(|inner| inner.events.clone())
    }

    pub(crate) fn started(&self, id: &str) -> usize {
        let start = Event::Start(id.to_owned());
        self.events().iter().filter(|event| **event == start).count()
    }

    /// The most messages that ran at once.
    pub(crate) fn most(&self) -> usize {
        self.with(|inner| inner.most)
    }

    fn start(&self, id: &str) -> Act {
        self.with(|inner| {
            inner.events.push(Event::Start(id.to_owned()));
            inner.running += 1;
            inner.most = inner.most.max(inner.running);
            match inner.acts.get_mut(id) {
                Some(acts) if acts.len() > 1 => acts.remove(0),
                Some(acts) => acts[0],
                None => Act::Work(Duration::from_millis(10)),
            }
        })
    }

    fn end(&self, event: Event) {
        self.with(|inner| {
            inner.events.push(event);
            inner.running -= 1;
        });
    }

    /// A worker on `queue` with these effects.
    pub(crate) fn worker<Q: Queue>(
        &self,
        queue: Q,
    ) -> Worker<
        Q,
        impl Fn(CancellationToken, String) -> Handling + Send + Sync + 'static + use<Q>,
        Failure,
    >
    where
        Q::Delivery: tokio_supervised_worker::Delivery<Body = String>,
    {
        let desk = self.clone();
        Worker::new(queue, move |token, id| handle(token, desk.clone(), id).boxed())
            .classify(Failure::class)
            .retry(Duration::from_secs(1)..Duration::from_secs(60))
            .dead_letters("dead")
    }

    /// Runs a worker until the queue is empty, then drains it.
    pub(crate) async fn empties(&self, queue: &MemoryQueue<String>) {
        let token = CancellationToken::new();
        let stop = async {
            queue.emptied().await;
            token.cancel();
        };
        let worker = self.worker(queue.clone());
        in_hours(async { join!(worker.run(&token), stop) }).await.0.unwrap();
    }
}

pub(crate) type Handling = tokio_supervised::BoxedTask<(), Failure>;

/// A queue of these messages, each with its id as body.
pub(crate) fn queue<const N: usize>(ids: [&str; N]) -> MemoryQueue<String> {
    let queue = MemoryQueue::new();
    for id in ids {
        queue.push(id, id.to_owned());
    }
    queue
}

#[supervised(name = "handle", timeout = "1h")]
pub(crate) async fn handle(
    token: &CancellationToken,
    desk: Desk,
    id: String,
) -> Result<(), Failure> {
    let act = desk.start(&id);
    let worked = match act {
        Act::Work(time) => token.run_until_cancelled(sleep(time)).await,
        Act::Fail(class) => {
            desk.end(Event::End(id));
            return Err(Failure::Classified(class));
        }
        Act::Panic => {
            desk.end(Event::End(id));
            panic!("a panic of the function");
        }
    };
    match worked {
        Some(()) => desk.end(Event::End(id)),
        None => {
            desk.end(Event::Cancelled(id));
            return Err(Failure::Classified(Class::Permanent));
        }
    }
    Ok(())
}

/// Runs `worker`, and `then` beside it, which is given the token.
pub(crate) async fn beside<F: Future>(
    run: impl Future<Output = Result<(), WorkerError>>,
    then: F,
) -> (Result<(), WorkerError>, F::Output) {
    in_hours(async { join!(run, then) }).await
}
