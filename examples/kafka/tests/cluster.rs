//! librdkafka's own mock cluster: it speaks Kafka's protocol on the loopback interface, groups and commits included.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _},
};

pub(crate) const TOPIC: &str = "jobs";
pub(crate) const PARTITIONS: i32 = 6;

pub(crate) struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    pub(crate) fn start() -> Self {
        let cluster = MockCluster::new(3).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 3).unwrap();
        Self(cluster)
    }

    pub(crate) fn brokers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Appends jobs, spread over the partitions.
    pub(crate) fn produce(&self, jobs: impl IntoIterator<Item = String>) {
        let producer = producer(&self.brokers());
        for (number, job) in (0..).zip(jobs) {
            let record =
                BaseRecord::<(), _>::to(TOPIC).partition(number % PARTITIONS).payload(&job);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// Appends jobs until it is cancelled: `n` to each partition, and again after a pause.
    pub(crate) fn feed(&self, each: usize, pause: Duration) -> Feed {
        let (stop, stopped) = mpsc::channel();
        let producer = producer(&self.brokers());
        let feeding = thread::spawn(move || {
            let mut jobs = 0;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                for partition in (0..PARTITIONS).cycle().take(each * PARTITIONS as usize) {
                    let job = jobs.to_string();
                    let record = BaseRecord::<(), _>::to(TOPIC).partition(partition).payload(&job);
                    producer.send(record).map_err(|(error, _)| error).unwrap();
                    jobs += 1;
                }
                producer.flush(Duration::from_secs(30)).unwrap();
            }
            jobs
        });
        Feed { stop, feeding }
    }
}

fn producer(brokers: &str) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap()
}

pub(crate) struct Feed {
    stop: mpsc::Sender<()>,
    feeding: JoinHandle<usize>,
}

impl Feed {
    /// How many jobs there are.
    pub(crate) fn end(self) -> usize {
        drop(self.stop);
        self.feeding.join().unwrap()
    }
}
