//! The adapter passes what every queue passes.

use std::time::Duration;

use rdkafka::ClientConfig;
use tokio_supervised_kafka::{KafkaMessage, KafkaQueue, queue};
use tokio_supervised_worker::{
    Settings,
    conformance::{self, Harness},
};

use crate::cluster::{Cluster, DEAD, TOPIC};

struct Kafka {
    cluster: Cluster,
}

impl Harness for Kafka {
    type Queue = KafkaQueue;

    async fn queue(&mut self) -> KafkaQueue {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.brokers()).set("group.id", "workers");
        config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500");
        queue(config, TOPIC)
    }

    async fn publish(&mut self, _id: &str, key: Option<&str>, body: &str) {
        self.cluster.produce_keyed(key.unwrap_or_default(), body, 0);
    }

    async fn dead_letters(&mut self) -> Vec<(String, String)> {
        self.cluster.dead_letters(1)
    }

    fn text(body: KafkaMessage) -> String {
        String::from_utf8(body.payload().to_vec()).unwrap()
    }

    /// The first message of a queue is at the offset 0.
    fn id(_published: &str, number: usize) -> String {
        format!("{TOPIC}:0:{number}")
    }

    fn lease(&self) -> Option<Duration> {
        None
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.dead_letters = Some(DEAD.into());
        settings
    }

    fn counts_over_consumers(&self) -> bool {
        false
    }
}

#[test]
fn the_kafka_queue_conforms() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(conformance::check(|| async { Kafka { cluster: Cluster::start() } }));
}
