//! librdkafka's own mock cluster: it speaks Kafka's protocol on the loopback interface, groups and commits included.

use std::time::Duration;

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
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", self.brokers()).create().unwrap();
        for (number, job) in (0..).zip(jobs) {
            let record =
                BaseRecord::<(), _>::to(TOPIC).partition(number % PARTITIONS).payload(&job);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }
}
