//! The adapter passes what every queue passes.

use std::time::Duration;

use async_nats::jetstream::{consumer::pull, message::PublishMessage};
use tempfile::TempDir;
use tokio_supervised_jetstream::{JetStreamMessage, JetStreamQueue, queue};
use tokio_supervised_worker::{
    Settings,
    conformance::{self, Harness},
};

use crate::{
    broker::{Broker, Kept},
    place::runtime,
    tool::Tools,
};

const LEASE: Duration = Duration::from_secs(2);

struct Nats {
    kept: Kept,
    // The folder is dropped last.
    _broker: Broker,
    _folder: TempDir,
}

impl Nats {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(&Tools::find(), folder.path());
        Self { kept: Kept::connect(&broker).await, _broker: broker, _folder: folder }
    }
}

impl Harness for Nats {
    type Queue = JetStreamQueue;

    async fn queue(&mut self) -> JetStreamQueue {
        let consumer = pull::Config {
            durable_name: Some("workers".into()),
            ack_wait: LEASE,
            ..Default::default()
        };
        queue(self.kept.context().clone(), "ORDERS", consumer)
    }

    async fn publish(&mut self, id: &str, key: Option<&str>, body: &str) {
        let message = PublishMessage::build().message_id(id).payload(body.to_owned().into());
        let subject = format!("orders.new{}", key.map(|key| format!(".{key}")).unwrap_or_default());
        self.kept.context().send_publish(subject, message).await.unwrap().await.unwrap();
    }

    async fn dead_letters(&mut self) -> Vec<(String, String)> {
        self.kept.dead().await.into_iter().map(|dead| (dead.id, dead.reason)).collect()
    }

    fn text(body: JetStreamMessage) -> String {
        String::from_utf8(body.payload.to_vec()).unwrap()
    }

    /// The subject.
    fn key(key: &str) -> Vec<u8> {
        format!("orders.new.{key}").into_bytes()
    }

    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.dead_letters = Some("orders.dead".into());
        settings.progress = LEASE / 3;
        settings
    }
}

#[test]
#[ignore = "needs nats-server and postgresql"]
fn the_jetstream_queue_conforms() {
    runtime().block_on(conformance::check(Nats::new));
}
