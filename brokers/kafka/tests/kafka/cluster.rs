//! librdkafka's own mock cluster: it speaks Kafka's protocol on the loopback interface, groups and commits included.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers as _},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _},
};

use crate::worker::WATCHDOG;

pub(crate) const TOPIC: &str = "jobs";
pub(crate) const DEAD: &str = "dead";
pub(crate) const PARTITIONS: i32 = 6;

pub(crate) struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    pub(crate) fn start() -> Self {
        let cluster = MockCluster::new(3).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 3).unwrap();
        cluster.create_topic(DEAD, 1, 3).unwrap();
        Self(cluster)
    }

    /// Makes the brokers unreachable, or reachable again.
    pub(crate) fn set_down(&self, is_down: bool) {
        for broker in 1..=3 {
            if is_down { self.0.broker_down(broker) } else { self.0.broker_up(broker) }.unwrap();
        }
    }

    /// The ids and reasons of the dead letters, once there are so many.
    pub(crate) fn dead_letters(&self, count: usize) -> Vec<(String, String)> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .set("group.id", "test")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(DEAD, 0, Offset::Beginning).unwrap();
        consumer.assign(&all).unwrap();
        let header = |message: &BorrowedMessage<'_>, name| {
            let headers = message.headers().unwrap();
            let value = headers.iter().find(|header| header.key == name).unwrap().value.unwrap();
            String::from_utf8(value.to_vec()).unwrap()
        };
        let (mut dead, started) = (Vec::new(), Instant::now());
        while dead.len() < count && started.elapsed() < WATCHDOG {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                dead.push((header(&message, "Id"), header(&message, "Reason")));
            }
        }
        dead
    }

    /// Appends one job with a key.
    pub(crate) fn produce_keyed(&self, key: &str, job: &str, partition: i32) {
        let producer = producer(&self.brokers());
        let record = BaseRecord::to(TOPIC).partition(partition).key(key).payload(job);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// Appends jobs in their order, each in the partition of its key, which is one of `keys`.
    pub(crate) fn produce_in_order(&self, jobs: usize, keys: usize) {
        let producer = producer(&self.brokers());
        for job in 0..jobs {
            let (key, text) = ((job % keys).to_string(), job.to_string());
            let partition = (job % keys) as i32 % PARTITIONS;
            let record = || BaseRecord::to(TOPIC).partition(partition).key(&key).payload(&text);
            while producer.send(record()).is_err() {
                // The queue of the client is full.
                producer.poll(Duration::from_millis(10));
            }
        }
        producer.flush(Duration::from_secs(60)).unwrap();
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
