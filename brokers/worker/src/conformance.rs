//! The cases that every [`Queue`] passes. Feature `conformance`.
//!
//! An adapter runs them in its tests, against its real broker:
//!
//! ```
//! use std::time::Duration;
//! use tokio_supervised_worker::{MemoryQueue, conformance::{self, Harness}};
//!
//! /// A queue that is empty at the start of each case.
//! struct Memory(MemoryQueue<String>);
//!
//! impl Harness for Memory {
//!     type Queue = MemoryQueue<String>;
//!
//!     async fn queue(&mut self) -> MemoryQueue<String> {
//!         self.0.clone()
//!     }
//!
//!     async fn publish(&mut self, id: &str, key: Option<&str>, body: &str) {
//!         match key {
//!             Some(key) => self.0.push_keyed(id, key, body.to_owned()),
//!             None => self.0.push(id, body.to_owned()),
//!         }
//!     }
//!
//!     async fn dead_letters(&mut self) -> Vec<(String, String)> {
//!         let dead = self.0.dead_letters().into_iter();
//!         dead.map(|dead| (dead.id.to_string(), dead.reason)).collect()
//!     }
//!
//!     fn text(body: String) -> String {
//!         body
//!     }
//!
//!     fn lease(&self) -> Option<Duration> {
//!         Some(Duration::from_secs(2))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # tokio::time::pause();
//! conformance::check(|| async { Memory(MemoryQueue::with_lease(Duration::from_secs(2))) }).await;
//! # }
//! ```

use std::{collections::BTreeSet, future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use crate::queue::{BoxError, Delivery, Disposition, Queue, Settings};

/// How long a case may wait for a message.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a pull may wait if there is no message.
const EMPTY_PULL: Duration = Duration::from_secs(5);

/// A broker with one empty queue, for one case.
pub trait Harness {
    /// The queue under test.
    type Queue: Queue;

    /// Another consumer of the queue, as another process would create it. Dropping it must be like the end of that
    /// process.
    fn queue(&mut self) -> impl Future<Output = Self::Queue>;

    /// Publishes a message with this id, and waits until it is stored.
    fn publish(&mut self, id: &str, key: Option<&str>, body: &str) -> impl Future<Output = ()>;

    /// The ids and reasons of the messages that were given up.
    fn dead_letters(&mut self) -> impl Future<Output = Vec<(String, String)>>;

    /// The published text of a body.
    fn text(body: <<Self::Queue as Queue>::Delivery as Delivery>::Body) -> String;

    /// The id of a message that was published with this id as the `number`th of its case, from 0. Another one if the broker
    /// names messages itself.
    fn id(published: &str, number: usize) -> String {
        _ = number;
        published.to_owned()
    }

    /// What [`Delivery::key`] is for a message that was published with this key.
    fn key(key: &str) -> Vec<u8> {
        key.as_bytes().to_vec()
    }

    /// After which time without a report the broker delivers a message again, at most 5 s. `None` if it keeps a message
    /// for as long as its consumer lives, as Kafka does.
    fn lease(&self) -> Option<Duration>;

    /// The settings that the queue is connected with. [`Settings::dead_letters`] names a destination.
    fn settings(&self) -> Settings {
        Settings { dead_letters: Some("dead".into()), ..Settings::default() }
    }

    /// Whether a broker counts deliveries over all consumers, so that [`Delivery::delivered`] is right after the end of a
    /// consumer.
    fn counts_over_consumers(&self) -> bool {
        true
    }
}

/// Runs all cases, each with a new harness.
///
/// # Panics
///
/// If the queue fails one. The message names the case.
///
/// # Cancel safety
///
/// Dropping the future ends the current case.
pub async fn check<H: Harness, F: Future<Output = H>>(mut harness: impl FnMut() -> F) {
    a_message_that_is_done_is_gone(harness().await).await;
    a_pull_returns_at_most_its_room(harness().await).await;
    an_empty_pull_returns(harness().await).await;
    a_requeued_message_is_delivered_again(harness().await).await;
    a_retry_waits(harness().await).await;
    a_dead_letter_is_kept_with_its_reason(harness().await).await;
    a_dropped_delivery_is_delivered_again(harness().await).await;
    the_next_consumer_gets_what_was_not_settled(harness().await).await;
    progress_keeps_a_message(harness().await).await;
    keys_and_their_order_are_kept(harness().await).await;
    a_body_can_be_read_twice(harness().await).await;
}

/// A consumer under test.
struct Consumer<Q> {
    case: &'static str,
    queue: Q,
}

impl<Q: Queue> Consumer<Q> {
    async fn new<H: Harness<Queue = Q>>(case: &'static str, harness: &mut H) -> Self {
        let mut queue = harness.queue().await;
        let settings = harness.settings();
        if let Err(error) = queue.connect(&settings).await {
            let error: BoxError = error.into();
            panic!("{case}: `connect` failed: {error}");
        }
        if let Err(error) = queue.check(&settings) {
            panic!("{case}: `check` failed: {error}");
        }
        Self { case, queue }
    }

    async fn pull(&mut self, room: usize) -> Vec<Q::Delivery> {
        let case = self.case;
        let pulled = timeout(EMPTY_PULL, self.queue.pull(room)).await;
        let Ok(pulled) = pulled else { panic!("{case}: a pull took longer than {EMPTY_PULL:?}") };
        let pulled = pulled.map_err(Into::into);
        let pulled =
            pulled.unwrap_or_else(|error: BoxError| panic!("{case}: `pull` failed: {error}"));
        assert!(pulled.len() <= room, "{case}: {} messages in a room of {room}", pulled.len());
        pulled
    }

    /// The next message.
    async fn next(&mut self) -> Q::Delivery {
        let case = self.case;
        let start = Instant::now();
        loop {
            if let Some(delivery) = self.pull(1).await.pop() {
                return delivery;
            }
            assert!(start.elapsed() < LIMIT, "{case}: no message was delivered");
        }
    }

    /// Fails if a message is delivered within `time`.
    async fn nothing(&mut self, time: Duration) {
        let case = self.case;
        let start = Instant::now();
        while start.elapsed() < time {
            if let Some(delivery) = self.pull(1).await.pop() {
                panic!("{case}: `{}` was delivered {} times", delivery.id(), delivery.delivered());
            }
        }
    }

    async fn settle(&self, delivery: Q::Delivery, how: Disposition) {
        let case = self.case;
        if let Err(error) = delivery.settle(how.clone()).await {
            panic!("{case}: `settle` with {how:?} failed: {error}");
        }
    }
}

fn text<H: Harness>(delivery: &mut <H::Queue as Queue>::Delivery) -> String {
    let body = delivery.body();
    H::text(body.unwrap_or_else(|error| panic!("`body` failed: {error}")))
}

async fn a_message_that_is_done_is_gone<H: Harness>(mut harness: H) {
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("a message that is done is gone", &mut harness).await;
    let mut delivery = consumer.next().await;
    assert_eq!((delivery.id(), delivery.delivered()), (&*H::id("1", 0), 1), "{}", consumer.case);
    assert_eq!(text::<H>(&mut delivery), "one", "{}", consumer.case);
    consumer.settle(delivery, Disposition::Done).await;
    consumer.nothing(beyond(&harness)).await;
    drop(consumer);
    let mut next = Consumer::new("a message that is done is gone for others", &mut harness).await;
    next.nothing(Duration::from_secs(1)).await;
}

async fn a_pull_returns_at_most_its_room<H: Harness>(mut harness: H) {
    for number in 0..20 {
        harness.publish(&number.to_string(), None, "text").await;
    }
    let mut consumer = Consumer::new("a pull returns at most its room", &mut harness).await;
    let (mut ids, start) = (BTreeSet::new(), Instant::now());
    for room in (1..=3).cycle() {
        for delivery in consumer.pull(room).await {
            let is_new = ids.insert(delivery.id().to_owned());
            assert!(is_new, "{}: `{}` twice", consumer.case, delivery.id());
            consumer.settle(delivery, Disposition::Done).await;
        }
        if ids.len() == 20 {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{}: only {ids:?}", consumer.case);
    }
}

async fn an_empty_pull_returns<H: Harness>(mut harness: H) {
    let mut consumer = Consumer::new("an empty pull returns", &mut harness).await;
    assert_eq!(consumer.pull(4).await.len(), 0, "{}", consumer.case);
    harness.publish("1", None, "one").await;
    let delivery = consumer.next().await;
    consumer.settle(delivery, Disposition::Done).await;
}

async fn a_requeued_message_is_delivered_again<H: Harness>(mut harness: H) {
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("a requeued message is delivered again", &mut harness).await;
    let delivery = consumer.next().await;
    consumer.settle(delivery, Disposition::Requeue).await;
    let mut again = consumer.next().await;
    assert_eq!((again.id(), again.delivered()), (&*H::id("1", 0), 2), "{}", consumer.case);
    assert_eq!(text::<H>(&mut again), "one", "{}", consumer.case);
    consumer.settle(again, Disposition::Done).await;
    consumer.nothing(Duration::from_secs(1)).await;
}

async fn a_retry_waits<H: Harness>(mut harness: H) {
    const WAIT: Duration = Duration::from_millis(1_500);
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("a retry waits", &mut harness).await;
    let delivery = consumer.next().await;
    let start = Instant::now();
    consumer.settle(delivery, Disposition::RetryAfter(WAIT)).await;
    let again = consumer.next().await;
    // The clocks of the broker and of this process differ a little.
    assert!(start.elapsed() > WAIT * 9 / 10, "{}: {:?}", consumer.case, start.elapsed());
    assert_eq!((again.id(), again.delivered()), (&*H::id("1", 0), 2), "{}", consumer.case);
    consumer.settle(again, Disposition::Done).await;
}

async fn a_dead_letter_is_kept_with_its_reason<H: Harness>(mut harness: H) {
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("a dead letter is kept with its reason", &mut harness).await;
    let delivery = consumer.next().await;
    consumer.settle(delivery, Disposition::DeadLetter("no items".to_owned())).await;
    let dead = harness.dead_letters().await;
    assert_eq!(dead, [(H::id("1", 0), "no items".to_owned())], "{}", consumer.case);
    consumer.nothing(beyond(&harness)).await;
}

async fn a_dropped_delivery_is_delivered_again<H: Harness>(mut harness: H) {
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("a dropped delivery is delivered again", &mut harness).await;
    drop(consumer.next().await);
    let again = consumer.next().await;
    assert_eq!((again.id(), again.delivered()), (&*H::id("1", 0), 2), "{}", consumer.case);
    consumer.settle(again, Disposition::Done).await;
}

async fn the_next_consumer_gets_what_was_not_settled<H: Harness>(mut harness: H) {
    let case = "the next consumer gets what was not settled";
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new(case, &mut harness).await;
    let lost = consumer.next().await;
    drop((lost, consumer));
    let mut next = Consumer::new(case, &mut harness).await;
    let again = next.next().await;
    assert_eq!(again.id(), H::id("1", 0), "{case}");
    if harness.counts_over_consumers() {
        assert_eq!(again.delivered(), 2, "{case}");
    }
    next.settle(again, Disposition::Done).await;
}

async fn progress_keeps_a_message<H: Harness>(mut harness: H) {
    let Some(lease) = harness.lease() else { return };
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("progress keeps a message", &mut harness).await;
    let delivery = consumer.next().await;
    for _ in 0..6 {
        sleep(lease / 3).await;
        if let Err(error) = delivery.progress().await {
            panic!("{}: `progress` failed: {error}", consumer.case);
        }
    }
    consumer.nothing(lease / 3).await;
    consumer.settle(delivery, Disposition::Done).await;
    consumer.nothing(beyond(&harness)).await;
}

async fn keys_and_their_order_are_kept<H: Harness>(mut harness: H) {
    for number in 0..6 {
        harness.publish(&number.to_string(), Some("key"), "text").await;
    }
    let mut consumer = Consumer::new("keys and their order are kept", &mut harness).await;
    for number in 0..6 {
        let delivery = consumer.next().await;
        assert_eq!(delivery.key(), Some(&*H::key("key")), "{}", consumer.case);
        assert_eq!(delivery.id(), H::id(&number.to_string(), number), "{}", consumer.case);
        consumer.settle(delivery, Disposition::Done).await;
    }
}

async fn a_body_can_be_read_twice<H: Harness>(mut harness: H) {
    harness.publish("1", None, "one").await;
    let mut consumer = Consumer::new("a body can be read twice", &mut harness).await;
    let mut delivery = consumer.next().await;
    for _ in 0..2 {
        assert_eq!(text::<H>(&mut delivery), "one", "{}", consumer.case);
    }
    consumer.settle(delivery, Disposition::Done).await;
}

/// Longer than the lease of a message.
fn beyond<H: Harness>(harness: &H) -> Duration {
    harness.lease().map_or(Duration::from_secs(1), |lease| lease * 3 / 2)
}
