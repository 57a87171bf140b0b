//! What an adapter implements.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{decoded::Decoded, error::SettingError};

/// Any error that can be sent to another thread.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A queue that a [`Worker`](crate::Worker) takes messages from.
///
/// One task calls its methods, one at a time. The rules, which the module `conformance` (feature `conformance`)
/// checks:
///
/// 1. [`connect`](Self::connect) is called first, and again after each error. It replaces the connection.
/// 2. [`pull`](Self::pull) returns at most `room` messages, and returns without one after about a second. Messages
///    beyond `room` wait for a slot. The worker drops them once its token has fired.
/// 3. Messages that were not settled are delivered again: after a timeout of the broker, or if their worker is gone.
///
/// ```
/// use std::convert::Infallible;
/// use tokio_supervised_worker::{BoxError, Delivery, Disposition, Queue, Settings};
///
/// /// The numbers up to ten: nothing is kept, nothing is delivered again.
/// struct Numbers(u32);
///
/// struct Number(String, u32);
///
/// impl Queue for Numbers {
///     type Delivery = Number;
///     type Error = Infallible;
///
///     fn system(&self) -> &'static str {
///         "numbers"
///     }
///
///     fn destination(&self) -> &str {
///         "up-to-ten"
///     }
///
///     async fn connect(&mut self, _settings: &Settings) -> Result<(), Infallible> {
///         Ok(())
///     }
///
///     async fn pull(&mut self, room: usize) -> Result<Vec<Number>, Infallible> {
///         let first = self.0;
///         self.0 = (first + u32::try_from(room).unwrap_or(10)).min(10);
///         if first == self.0 {
///             tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///         }
///         Ok((first..self.0).map(|number| Number(number.to_string(), number)).collect())
///     }
/// }
///
/// impl Delivery for Number {
///     type Body = u32;
///
///     fn id(&self) -> &str {
///         &self.0
///     }
///
///     fn key(&self) -> Option<&[u8]> {
///         None
///     }
///
///     fn delivered(&self) -> u32 {
///         1
///     }
///
///     fn body(&mut self) -> Result<u32, BoxError> {
///         Ok(self.1)
///     }
///
///     async fn progress(&self) -> Result<(), BoxError> {
///         Ok(())
///     }
///
///     async fn settle(self, _how: Disposition) -> Result<(), BoxError> {
///         Ok(())
///     }
/// }
/// # fn main() {}
/// ```
pub trait Queue: Send + 'static {
    /// A message that was delivered.
    type Delivery: Delivery;

    /// Why a connection or a request failed.
    type Error: Into<BoxError> + Send;

    /// The name of the broker, as in OpenTelemetry's `messaging.system`: `kafka`, `nats`.
    fn system(&self) -> &'static str;

    /// The name of the queue, as in `messaging.destination.name`.
    fn destination(&self) -> &str;

    /// Connects to the broker, and prepares what [`pull`](Self::pull) needs.
    ///
    /// Called at the start, and again after each error of it or of `pull`, with a backoff.
    ///
    /// # Errors
    ///
    /// If the broker is away or refuses. The worker logs a `WARN` and tries again.
    ///
    /// # Cancel safety
    ///
    /// It must be safe to drop the future; the worker drops it if its token fires.
    fn connect(
        &mut self,
        settings: &Settings,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Compares the worker's settings with those of the broker, after each successful [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// If they contradict each other. The worker ends with this error.
    fn check(&self, settings: &Settings) -> Result<(), SettingError> {
        _ = settings;
        Ok(())
    }

    /// Requests at most `room` messages, and waits until there is one, for about a second.
    ///
    /// # Errors
    ///
    /// If the connection is lost. The worker connects again; what it already has continues.
    ///
    /// # Cancel safety
    ///
    /// The worker awaits it to its end, also after its token has fired, but drops it 3 s after that. Messages that a
    /// dropped `pull` had received must be delivered again.
    fn pull(
        &mut self,
        room: usize,
    ) -> impl Future<Output = Result<Vec<Self::Delivery>, Self::Error>> + Send;

    /// How many messages an earlier request may still deliver.
    ///
    /// After its token has fired, the worker pulls until it is 0: a message that arrives after the last pull would wait
    /// for the broker's timeout. A `pull` whose room is at most this number makes no further request.
    fn open(&self) -> usize {
        0
    }

    /// Sends what is pending, after the last message is settled.
    ///
    /// # Errors
    ///
    /// If something could not be sent: some settled messages may be delivered again.
    ///
    /// # Cancel safety
    ///
    /// The worker drops it after 10 s.
    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Decodes each body with `decode`. A message whose body it refuses becomes a dead letter.
    ///
    /// ```
    /// use tokio_supervised_worker::{MemoryQueue, Queue};
    ///
    /// let numbers = MemoryQueue::<String>::new().decode(|text| text.parse::<u32>());
    /// # _ = numbers;
    /// ```
    fn decode<F, T, E>(self, decode: F) -> Decoded<Self, F>
    where
        Self: Sized,
        F: Fn(<Self::Delivery as Delivery>::Body) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        Decoded::new(self, decode)
    }
}

/// One delivery of a message.
///
/// A delivery that is dropped without [`settle`](Self::settle) was neither done nor returned: the queue delivers the
/// message again.
pub trait Delivery: Send + Sync + 'static {
    /// What the worker's function gets.
    type Body: Send + 'static;

    /// The id of the message: the same for each of its deliveries. A key for the effect.
    fn id(&self) -> &str;

    /// The key within which [`Worker::ordered`](crate::Worker::ordered) keeps the order.
    fn key(&self) -> Option<&[u8]>;

    /// How often the message was delivered, this time included: from 1.
    ///
    /// A broker that counts deliveries also counts those that ended with [`Disposition::Requeue`], or with a kill.
    fn delivered(&self) -> u32;

    /// Returns the body. Called once for each attempt: more than once, if the worker tries a message again in its slot.
    ///
    /// # Errors
    ///
    /// If the body cannot be read. The message becomes a dead letter.
    fn body(&mut self) -> Result<Self::Body, BoxError>;

    /// Reports that the message is still in work, so that the broker does not deliver it again.
    ///
    /// # Errors
    ///
    /// If the report failed. The worker logs a `WARN` and continues; it reports again after the interval.
    ///
    /// # Cancel safety
    ///
    /// It is dropped when the work ends.
    fn progress(&self) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Reports the end of the message to the broker, and waits until that has confirmed it.
    ///
    /// # Errors
    ///
    /// If it did not: the message may be delivered again. The worker logs it.
    ///
    /// # Cancel safety
    ///
    /// The worker awaits it in a [`shield`](tokio_supervised::shield()), and drops it after 8 s.
    fn settle(self, how: Disposition) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// The effect exists: the message is removed from the queue.
    Done,
    /// It is delivered again, as soon as possible.
    Requeue,
    /// It is delivered again after this time.
    RetryAfter(Duration),
    /// It is removed from the queue and stored in [`Settings::dead_letters`], with this reason.
    DeadLetter(String),
}

/// The settings of a worker, as its queue sees them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The most messages that it has at once.
    pub slots: usize,
    /// How often a message may fail before it becomes a dead letter.
    pub attempts: u32,
    /// How often it reports progress on a message.
    pub progress: Duration,
    /// How long it drains after its token has fired.
    pub drain: Duration,
    /// Where dead letters are stored: a subject, a topic. `None`: nowhere, they are only logged.
    pub dead_letters: Option<Arc<str>>,
    /// Whether it handles the messages of a key one after the other.
    pub ordered: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            slots: 8,
            attempts: 5,
            progress: Duration::from_secs(5),
            drain: Duration::from_secs(20),
            dead_letters: None,
            ordered: false,
        }
    }
}
