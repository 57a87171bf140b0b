//! A queue in memory, for tests.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::queue::{BoxError, Delivery, Disposition, Queue, Settings};

/// How long a pull waits for a message.
const WAITING: Duration = Duration::from_secs(1);

/// A queue in memory, for the tests of a program: it redelivers, retries and keeps dead letters as a broker does.
///
/// A clone is another handle to the same queue; several workers may take messages from it. A message whose delivery was
/// dropped, or that was neither settled nor reported for the length of a lease (30 s), is delivered again. Its clock is
/// tokio's, which a test can pause.
///
/// ```
/// use tokio_supervised_worker::MemoryQueue;
///
/// let queue = MemoryQueue::new();
/// queue.push("1", "two apples");
/// queue.push_keyed("2", "customer 7", "a pear");
/// assert_eq!(queue.len(), 2);
/// ```
pub struct MemoryQueue<T> {
    state: Arc<State<T>>,
}

struct State<T> {
    lease: Duration,
    inner: Mutex<Inner<T>>,
    changed: Notify,
}

struct Inner<T> {
    /// By the order in which they were pushed.
    messages: BTreeMap<u64, Message<T>>,
    dead: Vec<DeadLetter<T>>,
    pushed: u64,
    deliveries: u64,
    is_away: bool,
}

struct Message<T> {
    id: Arc<str>,
    key: Option<Arc<[u8]>>,
    body: Arc<T>,
    delivered: u32,
    /// When it may be delivered, again or for the first time.
    due: Instant,
    /// The number of the delivery that it is in.
    delivery: Option<u64>,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// The id of the message.
    pub id: Arc<str>,
    /// Its body.
    pub body: Arc<T>,
    /// Why it was given up.
    pub reason: String,
    /// How often it was delivered.
    pub delivered: u32,
}

impl<T> MemoryQueue<T> {
    /// Creates an empty queue, with a lease of 30 s.
    #[must_use]
    pub fn new() -> Self {
        Self::with_lease(Duration::from_secs(30))
    }

    /// Creates an empty queue that delivers a message again if it was neither settled nor reported for `lease`.
    #[must_use]
    pub fn with_lease(lease: Duration) -> Self {
        let inner = Inner {
            messages: BTreeMap::new(),
            dead: Vec::new(),
            pushed: 0,
            deliveries: 0,
            is_away: false,
        };
        let state = State { lease, inner: Mutex::new(inner), changed: Notify::new() };
        Self { state: Arc::new(state) }
    }

    /// Appends a message.
    pub fn push(&self, id: impl Into<Arc<str>>, body: T) {
        self.append(id.into(), None, body);
    }

    /// Appends a message with a key. See [`Worker::ordered`](crate::Worker::ordered).
    pub fn push_keyed(&self, id: impl Into<Arc<str>>, key: impl AsRef<[u8]>, body: T) {
        self.append(id.into(), Some(key.as_ref().into()), body);
    }

    fn append(&self, id: Arc<str>, key: Option<Arc<[u8]>>, body: T) {
        let (body, due) = (Arc::new(body), Instant::now());
        let mut inner = self.state.lock();
        inner.pushed += 1;
        let sequence = inner.pushed;
        let message = Message { id, key, body, delivered: 0, due, delivery: None };
        inner.messages.insert(sequence, message);
        drop(inner);
        self.state.changed.notify_waiters();
    }

    /// How many messages are neither done nor given up.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().messages.len()
    }

    /// Whether every message is done or given up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many deliveries there were.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.state.lock().deliveries
    }

    /// Waits until every message is done or given up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn emptied(&self) {
        self.state.wait(|inner| inner.messages.is_empty()).await;
    }

    /// The messages that were given up, in that order.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter<T>> {
        let inner = self.state.lock();
        let dead = inner.dead.iter().map(|dead| DeadLetter {
            id: dead.id.clone(),
            body: dead.body.clone(),
            reason: dead.reason.clone(),
            delivered: dead.delivered,
        });
        dead.collect()
    }

    /// Makes every connection and every pull fail, as if the broker were away, until it is called with `false`.
    pub fn set_away(&self, is_away: bool) {
        self.state.lock().is_away = is_away;
        self.state.changed.notify_waiters();
    }
}

impl<T> Default for MemoryQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for MemoryQueue<T> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone() }
    }
}

impl<T> fmt::Debug for MemoryQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> State<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_so` is true.
    async fn wait(&self, is_so: impl Fn(&Inner<T>) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(&self.lock()) {
                return;
            }
            changed.await;
        }
    }
}

impl<T> Inner<T> {
    /// Delivers up to `room` messages that are due. Otherwise returns when the next one is.
    fn deliver(
        &mut self,
        room: usize,
        lease: Duration,
        state: &Arc<State<T>>,
    ) -> Result<Vec<MemoryDelivery<T>>, Option<Instant>> {
        let now = Instant::now();
        let mut delivered = Vec::new();
        let mut next: Option<Instant> = None;
        for (sequence, message) in &mut self.messages {
            if delivered.len() == room {
                break;
            }
            if message.due > now {
                next = Some(next.map_or(message.due, |next| next.min(message.due)));
                continue;
            }
            self.deliveries += 1;
            message.delivered += 1;
            message.due = now + lease;
            message.delivery = Some(self.deliveries);
            delivered.push(MemoryDelivery {
                state: state.clone(),
                sequence: *sequence,
                number: self.deliveries,
                id: message.id.clone(),
                key: message.key.clone(),
                body: message.body.clone(),
                delivered: message.delivered,
            });
        }
        if delivered.is_empty() { Err(next) } else { Ok(delivered) }
    }

    /// The message, if it is still in this delivery.
    fn leased(&mut self, sequence: u64, number: u64) -> Result<&mut Message<T>, LeaseExpired> {
        let message = self.messages.get_mut(&sequence);
        message.filter(|message| message.delivery == Some(number)).ok_or(LeaseExpired)
    }
}

impl<T: Clone + Send + Sync + 'static> Queue for MemoryQueue<T> {
    type Delivery = MemoryDelivery<T>;
    type Error = Disconnected;

    fn system(&self) -> &'static str {
        "memory"
    }

    fn destination(&self) -> &str {
        "memory"
    }

    async fn connect(&mut self, _settings: &Settings) -> Result<(), Disconnected> {
        if self.state.lock().is_away { Err(Disconnected) } else { Ok(()) }
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<MemoryDelivery<T>>, Disconnected> {
        // Ready at once, it must not keep the thread.
        tokio::task::consume_budget().await;
        let end = Instant::now() + WAITING;
        loop {
            let changed = self.state.changed.notified();
            let next = {
                let mut inner = self.state.lock();
                if inner.is_away {
                    return Err(Disconnected);
                }
                match inner.deliver(room, self.state.lease, &self.state) {
                    Ok(delivered) => return Ok(delivered),
                    Err(next) => next,
                }
            };
            let until = next.map_or(end, |next| next.min(end));
            tokio::select! {
                () = changed => {}
                () = sleep_until(until) => if until == end {
                    return Ok(Vec::new());
                },
            }
        }
    }
}

/// A delivery of a [`MemoryQueue`].
pub struct MemoryDelivery<T> {
    state: Arc<State<T>>,
    sequence: u64,
    number: u64,
    id: Arc<str>,
    key: Option<Arc<[u8]>>,
    body: Arc<T>,
    delivered: u32,
}

impl<T> MemoryDelivery<T> {
    fn end(&self, how: Disposition) -> Result<(), LeaseExpired> {
        let mut inner = self.state.lock();
        // The body of a removed message is also in the delivery: nothing is dropped under the lock.
        let ended = match how {
            // The effect exists, even if the message was delivered again meanwhile.
            Disposition::Done => {
                inner.messages.remove(&self.sequence);
                Ok(())
            }
            Disposition::Requeue => self.again(&mut inner, Duration::ZERO),
            Disposition::RetryAfter(wait) => self.again(&mut inner, wait),
            Disposition::DeadLetter(reason) => {
                inner.leased(self.sequence, self.number).map(|_| ()).map(|()| {
                    inner.messages.remove(&self.sequence);
                    inner.dead.push(DeadLetter {
                        id: self.id.clone(),
                        body: self.body.clone(),
                        reason,
                        delivered: self.delivered,
                    });
                })
            }
        };
        drop(inner);
        self.state.changed.notify_waiters();
        ended
    }

    fn again(&self, inner: &mut Inner<T>, wait: Duration) -> Result<(), LeaseExpired> {
        let message = inner.leased(self.sequence, self.number)?;
        message.due = Instant::now() + wait;
        message.delivery = None;
        Ok(())
    }
}

impl<T: Clone + Send + Sync + 'static> Delivery for MemoryDelivery<T> {
    type Body = T;

    fn id(&self) -> &str {
        &self.id
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn delivered(&self) -> u32 {
        self.delivered
    }

    fn body(&mut self) -> Result<T, BoxError> {
        Ok(T::clone(&self.body))
    }

    async fn progress(&self) -> Result<(), BoxError> {
        let mut inner = self.state.lock();
        let due = Instant::now() + self.state.lease;
        inner.leased(self.sequence, self.number)?.due = due;
        Ok(())
    }

    async fn settle(self, how: Disposition) -> Result<(), BoxError> {
        Ok(self.end(how)?)
    }
}

impl<T> Drop for MemoryDelivery<T> {
    fn drop(&mut self) {
        // Fails if it was settled.
        _ = self.end(Disposition::Requeue);
    }
}

impl<T> fmt::Debug for MemoryDelivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDelivery")
            .field("id", &self.id)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

/// A [`MemoryQueue`] was [set away](MemoryQueue::set_away).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnected;

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is away")
    }
}

impl Error for Disconnected {}

/// The lease of a delivery of a [`MemoryQueue`] has expired, and the message was delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseExpired;

impl fmt::Display for LeaseExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lease of the message has expired")
    }
}

impl Error for LeaseExpired {}
