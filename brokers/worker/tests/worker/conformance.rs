//! The queue in memory passes what every queue passes.

use std::time::Duration;

use testkit::watchdog::in_hours;
use tokio_supervised::supervised;
use tokio_supervised_worker::{
    BoxError, Delivery, Disposition, MemoryDelivery, MemoryQueue, Queue, Settings,
    conformance::{Harness, check},
};

const LEASE: Duration = Duration::from_secs(3);

struct Memory<Q> {
    queue: MemoryQueue<String>,
    wrap: fn(MemoryQueue<String>) -> Q,
}

impl<D, Q> Harness for Memory<Q>
where
    D: Delivery<Body = String>,
    Q: Queue<Delivery = D>,
{
    type Queue = Q;

    async fn queue(&mut self) -> Q {
        (self.wrap)(self.queue.clone())
    }

    async fn publish(&mut self, id: &str, key: Option<&str>, body: &str) {
        match key {
            Some(key) => self.queue.push_keyed(id, key, body.to_owned()),
            None => self.queue.push(id, body.to_owned()),
        }
    }

    async fn dead_letters(&mut self) -> Vec<(String, String)> {
        let dead = self.queue.dead_letters().into_iter();
        dead.map(|dead| (dead.id.to_string(), dead.reason)).collect()
    }

    fn text(body: String) -> String {
        body
    }

    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }
}

#[supervised::test(start_paused = true)]
async fn the_queue_in_memory_conforms() {
    let memory = || async { Memory { queue: MemoryQueue::with_lease(LEASE), wrap: |queue| queue } };
    in_hours(check(memory)).await;
}

/// A queue with one fault.
struct Faulty(MemoryQueue<String>, Fault);

#[derive(Clone, Copy)]
enum Fault {
    TooMany,
    ForgetsDone,
    ForgetsReason,
    ForgetsRequeued,
}

struct FaultyDelivery(MemoryDelivery<String>, Fault);

impl Queue for Faulty {
    type Delivery = FaultyDelivery;
    type Error = BoxError;

    fn system(&self) -> &'static str {
        "faulty"
    }

    fn destination(&self) -> &str {
        "faulty"
    }

    async fn connect(&mut self, settings: &Settings) -> Result<(), BoxError> {
        Ok(self.0.connect(settings).await?)
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<FaultyDelivery>, BoxError> {
        let room = if matches!(self.1, Fault::TooMany) { room + 1 } else { room };
        Ok(self.0.pull(room).await?.into_iter().map(|it| FaultyDelivery(it, self.1)).collect())
    }
}

impl Delivery for FaultyDelivery {
    type Body = String;

    fn id(&self) -> &str {
        self.0.id()
    }

    fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    fn delivered(&self) -> u32 {
        self.0.delivered()
    }

    fn body(&mut self) -> Result<String, BoxError> {
        self.0.body()
    }

    async fn progress(&self) -> Result<(), BoxError> {
        self.0.progress().await
    }

    async fn settle(self, how: Disposition) -> Result<(), BoxError> {
        let how = match (self.1, how) {
            (Fault::ForgetsDone, Disposition::Done) => return Ok(()),
            (Fault::ForgetsRequeued, Disposition::Requeue) => Disposition::Done,
            (Fault::ForgetsReason, Disposition::DeadLetter(_)) => {
                Disposition::DeadLetter(String::new())
            }
            (_, how) => how,
        };
        self.0.settle(how).await
    }
}

fn fails(fault: Fault) -> String {
    let checked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(in_hours(check(|| async move {
            let queue = MemoryQueue::with_lease(LEASE);
            FaultyHarness(Memory { queue, wrap: |queue| queue }, fault)
        })));
    });
    let panic = checked.join().expect_err("the fault is found");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

struct FaultyHarness(Memory<MemoryQueue<String>>, Fault);

impl Harness for FaultyHarness {
    type Queue = Faulty;

    async fn queue(&mut self) -> Faulty {
        Faulty(self.0.queue.clone(), self.1)
    }

    async fn publish(&mut self, id: &str, key: Option<&str>, body: &str) {
        self.0.publish(id, key, body).await;
    }

    async fn dead_letters(&mut self) -> Vec<(String, String)> {
        self.0.dead_letters().await
    }

    fn text(body: String) -> String {
        body
    }

    fn lease(&self) -> Option<Duration> {
        self.0.lease()
    }
}

#[test]
fn the_suite_finds_a_queue_that_overfills_its_room() {
    let said = fails(Fault::TooMany);
    assert!(said.contains("in a room of"), "{said}");
}

#[test]
fn the_suite_finds_a_queue_that_forgets_what_is_done() {
    let said = fails(Fault::ForgetsDone);
    assert!(said.starts_with("a message that is done is gone: `1` was delivered"), "{said}");
}

#[test]
fn the_suite_finds_a_queue_that_forgets_what_is_requeued() {
    let said = fails(Fault::ForgetsRequeued);
    assert!(said.contains("no message was delivered"), "{said}");
}

#[test]
fn the_suite_finds_a_queue_that_forgets_a_reason() {
    let said = fails(Fault::ForgetsReason);
    assert!(said.contains("a dead letter is kept with its reason"), "{said}");
}
