//! The settings of a worker.

use std::{fmt, future::Future, marker::PhantomData, ops::Range, sync::Arc, time::Duration};

use tokio_supervised::{CancellationToken, Ready, SupervisedFuture};

use crate::{
    backoff::Backoff,
    error::WorkerError,
    queue::{Delivery, Queue, Settings},
    run::{self, Plan},
};

/// What a failure says about further attempts. See [`Worker::classify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Another attempt may succeed: a timeout, a panic, a conflict.
    Transient,
    /// Another attempt fails too: the message is wrong.
    Permanent,
    /// Something outside is away, such as a database: other messages would fail too. It is not counted as an attempt.
    ///
    /// The message waits in its slot. If the worker stops or is killed meanwhile, the next delivery counts towards the
    /// limit of deliveries, see [`Worker::attempts`].
    External,
}

impl Class {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::External => "external",
        }
    }
}

/// Takes messages from a queue, runs a supervised function for each, and settles them.
///
/// See the [crate](crate) for what it does, in which order. The function gets a token that fires when the drain runs
/// out of time, and the body of the message. If it returns `Ok`, the effect exists and the message is done.
///
/// ```
/// use std::time::Duration;
/// use tokio_supervised::{TaskError, supervised};
/// use tokio_supervised_worker::{Class, MemoryQueue, Worker};
///
/// #[derive(Debug)]
/// enum OrderError {
///     Task(TaskError),
///     NoItems,
///     Database(std::io::Error),
/// }
///
/// impl OrderError {
///     fn class(&self) -> Class {
///         match self {
///             Self::Task(_) => Class::Transient,
///             Self::NoItems => Class::Permanent,
///             Self::Database(_) => Class::External,
///         }
///     }
/// }
/// # impl std::fmt::Display for OrderError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{self:?}") }
/// # }
/// # impl From<TaskError> for OrderError {
/// #     fn from(error: TaskError) -> Self { Self::Task(error) }
/// # }
///
/// #[supervised(timeout = "10s")]
/// async fn order(items: u32) -> Result<(), OrderError> {
///     if items == 0 { Err(OrderError::NoItems) } else { Ok(()) }
/// }
///
/// let queue = MemoryQueue::new();
/// queue.push("1", 2);
/// let worker = Worker::new(queue, |token, items| order(token, items))
///     .slots(8)
///     .classify(OrderError::class)
///     .drain(Duration::from_secs(15));
/// # _ = worker;
/// ```
///
/// # Which settings belong together
///
/// - `drain` must fit into the grace of main, which must fit into that of the orchestrator.
/// - A supervised function that awaits [`run`](Self::run) needs `grace = "none"`: the last pull (at most 3 s), the drain
///   (20 s) and the close (at most 10 s) take longer than its default grace of 20 s. The grace of main bounds it.
/// - The timeout of the function should be at most `drain` less 5 s: the drain cancels what still runs then.
/// - The queue compares the rest with the broker's settings at the start, such as JetStream's `ack_wait`.
#[must_use = "a worker does nothing until `run` is awaited"]
pub struct Worker<Q, F, E> {
    queue: Q,
    handle: F,
    settings: Settings,
    retry: Backoff,
    reconnect: Backoff,
    classify: Box<dyn Fn(&E) -> Class + Send + Sync>,
    ready: Option<Ready>,
    error: PhantomData<fn(E)>,
}

impl<Q, F, E> Worker<Q, F, E>
where
    Q: Queue,
    E: fmt::Display + Send + 'static,
{
    /// Creates a worker that runs `handle` for each message.
    ///
    /// Without further calls it has 8 slots, 5 attempts, waits of 1 s to 1 min between them, reports progress every 5 s,
    /// drains for 20 s, and treats every failure as transient.
    pub fn new<S>(queue: Q, handle: F) -> Self
    where
        F: Fn(CancellationToken, <Q::Delivery as Delivery>::Body) -> S + Send + Sync + 'static,
        S: SupervisedFuture + Future<Output = Result<(), E>> + Send + 'static,
    {
        let retry = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let reconnect =
            Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };
        Self {
            queue,
            handle,
            settings: Settings::default(),
            retry,
            reconnect,
            classify: Box::new(|_| Class::Transient),
            ready: None,
            error: PhantomData,
        }
    }

    /// The most messages that are handled at once, and the most that this process has.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn slots(mut self, slots: usize) -> Self {
        assert!(slots > 0, "`slots` must not be 0: no message could be handled");
        self.settings.slots = slots;
        self
    }

    /// How often a message may fail before it becomes a dead letter. [`Class::External`] failures do not count.
    ///
    /// A message that was delivered more than twice as often is not started again: it may have killed its workers. It
    /// becomes a dead letter. Without [`dead_letters`](Self::dead_letters) it is kept: it returns to the queue after the
    /// longest wait of [`retry`](Self::retry) with an `ERROR`, until `attempts` is raised or a destination is set. If the
    /// worker is [`ordered`](Self::ordered), it does not hold back the others of its key.
    ///
    /// Brokers count every delivery. One that ended with a kill or with the drain of a worker therefore counts, also if
    /// the message only waited: in its slot after an [`External`](Class::External) failure, or for its key. If a
    /// message may meet many restarts, as during a long outage of a database, raise `attempts`.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "`attempts` must not be 0: no message could be handled");
        self.settings.attempts = attempts;
        self
    }

    /// The wait before the second attempt, doubled for each further one up to the end of the range.
    ///
    /// The message waits in the broker. It waits in its slot after a [`Class::External`] failure, and if the worker is
    /// [`ordered`](Self::ordered).
    ///
    /// # Panics
    ///
    /// If the range is empty.
    #[track_caller]
    pub fn retry(mut self, waits: Range<Duration>) -> Self {
        assert!(waits.start <= waits.end, "the waits of `retry` are an empty range: {waits:?}");
        self.retry = Backoff { first: waits.start, longest: waits.end };
        self
    }

    /// The waits between attempts to connect to the broker, from 100 ms to 5 s without this call.
    ///
    /// # Panics
    ///
    /// If the range is empty.
    #[track_caller]
    pub fn reconnect(mut self, waits: Range<Duration>) -> Self {
        assert!(waits.start <= waits.end, "the waits of `reconnect` are an empty range: {waits:?}");
        self.reconnect = Backoff { first: waits.start, longest: waits.end };
        self
    }

    /// Where dead letters are stored: a subject of JetStream, a topic of Kafka.
    ///
    /// Without it, a message that is given up is logged at `ERROR` with its id and its reason, and removed. One that was
    /// delivered too often is kept, see [`attempts`](Self::attempts).
    pub fn dead_letters(mut self, destination: impl Into<Arc<str>>) -> Self {
        self.settings.dead_letters = Some(destination.into());
        self
    }

    /// Decides what a failure says about further attempts. Without it, every failure is [`Class::Transient`].
    ///
    /// It is not asked about a failure after the function's token has fired: the message returns to the queue.
    pub fn classify(mut self, classify: impl Fn(&E) -> Class + Send + Sync + 'static) -> Self {
        self.classify = Box::new(classify);
        self
    }

    /// How often progress on a message is reported: at most a third of the broker's timeout, so that two reports may be
    /// lost.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn progress(mut self, every: Duration) -> Self {
        assert!(!every.is_zero(), "the interval of `progress` must not be 0");
        self.settings.progress = every;
        self
    }

    /// How long the worker may finish its messages after its token has fired, as
    /// [`Pool::drain`](tokio_supervised::Pool::drain).
    ///
    /// Messages run undisturbed until 5 s before its end (half of it below 10 s). Then their tokens fire, and they return
    /// to the queue. A message that does not stop is aborted at the end: the broker delivers it again.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.settings.drain = limit;
        self
    }

    /// Handles the messages of a [key](Delivery::key) one at a time, in the order in which they are pulled. Messages
    /// without a key are not ordered.
    ///
    /// A message that waits for another one of its key has a slot, so there are at most as many keys in memory as slots.
    /// A message that is retried keeps its turn: the others of its key wait until it is done or given up.
    ///
    /// The order holds within this process. Between processes it depends on the broker: Kafka gives a key's partition to
    /// one member. For JetStream, see `tokio-supervised-jetstream`.
    pub fn ordered(mut self) -> Self {
        self.settings.ordered = true;
        self
    }

    /// Reports this service of a [`Services`](tokio_supervised::Services) as ready once the broker is connected.
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = Some(ready);
        self
    }

    /// Handles messages until `token` fires, then drains.
    ///
    /// It connects again for as long as the broker is away. It returns when every message is settled, and the queue is
    /// closed.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: settings that contradict each other, or messages whose end the broker does not know.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, its messages are cancelled and aborted, and one `WARN` names them. The broker delivers
    /// them again. A supervised function drops it at the end of its grace; write `grace = "none"`.
    pub async fn run<S>(self, token: &CancellationToken) -> Result<(), WorkerError>
    where
        F: Fn(CancellationToken, <Q::Delivery as Delivery>::Body) -> S + Send + Sync + 'static,
        S: SupervisedFuture + Future<Output = Result<(), E>> + Send + 'static,
    {
        let Self { queue, handle, settings, retry, reconnect, classify, ready, error: _ } = self;
        run::run(token, queue, Plan { handle, settings, retry, reconnect, classify, ready }).await
    }
}

impl<Q: fmt::Debug, F, E> fmt::Debug for Worker<Q, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.queue)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
