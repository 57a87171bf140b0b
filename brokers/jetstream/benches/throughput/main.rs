//! The throughput of a worker beside a loop by hand, on one broker.
//!
//! ```text
//! cargo bench -p supervised-jetstream                  # JOBS=20000 ROUNDS=7
//! ```
//!
//! Both handle the same number of messages in turn, with the same slots and without work: what is compared is the loop,
//! its requests, its tasks and its acknowledgements. The program fails if the median of the ratios is below 0.95.

#![allow(clippy::unwrap_used)]

mod hand;
mod pulls;

use std::{
    env, fs,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self, Context,
    consumer::{Consumer, pull},
    stream,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream as streams};
use tokio::sync::Notify;
use tokio_supervised::{CancellationToken, TaskError, supervised};
use tokio_supervised_worker::Worker;

pub(crate) const SLOTS: usize = 16;
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(30);

/// Counts the messages of a round.
#[derive(Clone)]
pub(crate) struct Counter(Arc<(AtomicUsize, Notify)>);

impl Counter {
    fn new(jobs: usize) -> Self {
        Self(Arc::new((AtomicUsize::new(jobs), Notify::new())))
    }

    pub(crate) fn done(&self) {
        if self.0.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.1.notify_one();
        }
    }

    async fn all(&self) {
        self.0.1.notified().await;
    }
}

/// A server that ends with the program.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Fills the stream, and returns its consumer.
async fn fill(context: &Context, jobs: usize) -> Consumer<pull::Config> {
    _ = context.delete_stream("ORDERS").await;
    let config = stream::Config {
        name: "ORDERS".into(),
        subjects: vec!["orders".into()],
        retention: stream::RetentionPolicy::WorkQueue,
        storage: stream::StorageType::Memory,
        ..Default::default()
    };
    let stream = context.create_stream(config).await.unwrap();
    let publish = |_| async { context.publish("orders", "1 2 20".into()).await?.await };
    streams::iter(0..jobs)
        .map(publish)
        .buffer_unordered(256)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    stream.create_consumer(config_of_consumer()).await.unwrap()
}

fn config_of_consumer() -> pull::Config {
    let durable_name = Some("workers".into());
    pull::Config { durable_name, ack_wait: ACK_WAIT, ..Default::default() }
}

/// The work of both.
#[supervised(name = "work", timeout = "10s")]
pub(crate) async fn work(counter: Counter) -> Result<(), TaskError> {
    counter.done();
    Ok(())
}

async fn worker(context: &Context, jobs: usize) -> f64 {
    fill(context, jobs).await;
    let (token, counter) = (CancellationToken::new(), Counter::new(jobs));
    let queue = tokio_supervised_jetstream::queue(context.clone(), "ORDERS", config_of_consumer());
    let works = counter.clone();
    let worker = Worker::new(queue, move |token, _| work(token, works.clone())).slots(SLOTS);
    measure(jobs, &token, &counter, async { worker.run(&token).await.unwrap() }).await
}

async fn by_hand(context: &Context, jobs: usize) -> f64 {
    let consumer = fill(context, jobs).await;
    let (token, counter) = (CancellationToken::new(), Counter::new(jobs));
    let loops = hand::consume(&token, context.clone(), consumer, counter.clone());
    measure(jobs, &token, &counter, async { loops.await.unwrap() }).await
}

/// The messages in a second.
async fn measure(
    jobs: usize,
    token: &CancellationToken,
    counter: &Counter,
    run: impl Future<Output = ()>,
) -> f64 {
    let start = Instant::now();
    let stop = async {
        counter.all().await;
        token.cancel();
        start.elapsed()
    };
    let ((), took) = tokio::join!(run, stop);
    jobs as f64 / took.as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::main]
async fn main() -> ExitCode {
    let (jobs, rounds) = (number("JOBS", 20_000), number("ROUNDS", 7));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(testkit::tools::find(&["nats-server"]));
    command.args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd", "store"]).arg("--ports_file_dir");
    command.arg(folder.path()).current_dir(folder.path()).stderr(Stdio::null());
    let server = Server(command.spawn().unwrap());
    let ports = folder.path().join(format!("nats-server_{}.ports", server.0.id()));
    let mut port = None;
    testkit::watchdog::until(|| {
        let said = fs::read_to_string(&ports).unwrap_or_default();
        let found = said.split("127.0.0.1:").nth(1).and_then(|it| it.split('"').next());
        port = found.map(str::to_owned);
        port.is_some()
    });
    let address = format!("nats://127.0.0.1:{}", port.unwrap());
    let context = jetstream::new(async_nats::connect(address).await.unwrap());

    // The first round of each warms up.
    by_hand(&context, jobs / 10).await;
    worker(&context, jobs / 10).await;
    let (mut hands, mut workers, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // The first of a round alternates.
        let (hand, worker) = if round % 2 == 0 {
            let hand = by_hand(&context, jobs).await;
            (hand, worker(&context, jobs).await)
        } else {
            let worker = worker(&context, jobs).await;
            (by_hand(&context, jobs).await, worker)
        };
        println!("by hand {hand:8.0}/s   worker {worker:8.0}/s   {:.3}", worker / hand);
        hands.push(hand);
        workers.push(worker);
        ratios.push(worker / hand);
    }
    let ratio = median(ratios);
    println!(
        "medians: by hand {:.0}/s, worker {:.0}/s, ratio {ratio:.3}",
        median(hands),
        median(workers)
    );
    if ratio < 0.95 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
