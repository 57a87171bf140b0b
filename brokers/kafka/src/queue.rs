//! The queue.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use rdkafka::{ClientConfig, error::KafkaError};
use tokio::{sync::oneshot, task::spawn_blocking};
use tokio_supervised_worker::{BoxError, Queue, SettingError, Settings};

use crate::{
    delivery::{Graveyard, KafkaDelivery},
    member::{Command, join, serve},
};

/// librdkafka's default.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// Makes a topic a queue.
///
/// `config` has at least `bootstrap.servers` and `group.id`. What it does not set is set to
/// `auto.offset.reset=earliest`, `partition.assignment.strategy=cooperative-sticky` and `auto.commit.interval.ms=1000`;
/// `enable.auto.offset.store` is always `false`. Several processes with the same `group.id` share the partitions.
pub fn queue(config: ClientConfig, topic: impl Into<String>) -> KafkaQueue {
    KafkaQueue { config, topic: topic.into(), commands: None }
}

/// A topic, as a member of a consumer group. See [`queue`].
pub struct KafkaQueue {
    config: ClientConfig,
    topic: String,
    commands: Option<SyncSender<Command>>,
}

impl KafkaQueue {
    /// The configuration of the consumer.
    fn consumer(&self) -> ClientConfig {
        let mut config = self.config.clone();
        for (key, value) in [
            ("auto.offset.reset", "earliest"),
            // Only partitions that move are revoked, while the group is stable: the others continue, and the commit is
            // accepted.
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("auto.commit.interval.ms", "1000"),
        ] {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        // A message that was read is not done.
        config.set("enable.auto.offset.store", "false");
        config
    }

    /// The configuration of the producer of dead letters: without what only a consumer knows.
    fn producer(&self) -> ClientConfig {
        let mut config = self.config.clone();
        for key in [
            "group.id",
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "max.poll.interval.ms",
            "auto.offset.reset",
            "auto.commit.interval.ms",
            "enable.auto.commit",
            "enable.auto.offset.store",
            "partition.assignment.strategy",
            "group.instance.id",
        ] {
            config.remove(key);
        }
        config
    }

    async fn ask<R>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<R, KafkaError>>) -> Command,
    ) -> Result<R, BoxError> {
        let commands = self.commands.as_ref().ok_or("the queue is not connected")?;
        let (reply, answer) = oneshot::channel();
        // There is one request at a time, but one that was given up may still be in the channel.
        commands
            .try_send(command(reply))
            .map_err(|error| format!("the thread of the member: {error}"))?;
        Ok(answer.await.map_err(|_| "the thread of the member has ended")??)
    }
}

impl Queue for KafkaQueue {
    type Delivery = KafkaDelivery;
    type Error = BoxError;

    fn system(&self) -> &'static str {
        "kafka"
    }

    fn destination(&self) -> &str {
        &self.topic
    }

    async fn connect(&mut self, settings: &Settings) -> Result<(), BoxError> {
        // A mistake needs no connection: it is reported by `check`.
        if check(&self.config, &self.topic, settings).is_err() {
            return Ok(());
        }
        // Dropped, the thread leaves the group.
        self.commands = None;
        let (consumer, producer) = (self.consumer(), self.producer());
        let (topic, settings) = (self.topic.clone(), settings.clone());
        let joined = spawn_blocking(move || {
            let dead_letters = settings.dead_letters.clone();
            let graveyard =
                dead_letters.map(|topic| Graveyard::new(&producer, topic)).transpose()?;
            let consumer = join(&consumer, &topic, settings.drain)?;
            Ok::<_, KafkaError>((consumer, graveyard.map(Arc::new)))
        });
        let (consumer, graveyard) = joined.await??;
        let (commands, received) = sync_channel(2);
        let name = format!("kafka {}", self.topic);
        thread::Builder::new().name(name).spawn(move || serve(consumer, &received, graveyard))?;
        self.commands = Some(commands);
        Ok(())
    }

    fn check(&self, settings: &Settings) -> Result<(), SettingError> {
        check(&self.config, &self.topic, settings)
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<KafkaDelivery>, BoxError> {
        self.ask(|reply| Command::Pull(room, reply)).await
    }

    async fn close(&mut self) -> Result<(), BoxError> {
        if self.commands.is_none() {
            return Ok(());
        }
        let closed = self.ask(Command::Close).await;
        self.commands = None;
        closed
    }
}

impl fmt::Debug for KafkaQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaQueue").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Compares the settings of a worker with those of its consumer.
fn check(config: &ClientConfig, topic: &str, settings: &Settings) -> Result<(), SettingError> {
    let is = |key: &str, value: &str| config.get(key).is_some_and(|it| it.trim() == value);
    if config.get("group.id").is_none() {
        let help = "write `config.set(\"group.id\", \"…\")`";
        return Err(SettingError::new(
            "group.id",
            "it is not set: a worker is a member of a group",
            help,
        ));
    }
    if is("enable.auto.offset.store", "true") {
        return Err(SettingError::new(
            "enable.auto.offset.store",
            "with `true`, a message that was read is committed, done or not",
            "remove it: the queue stores the offsets of messages that are done",
        ));
    }
    if is("enable.auto.commit", "false") {
        return Err(SettingError::new(
            "enable.auto.commit",
            "with `false`, nothing is committed until the worker stops",
            "remove it: only offsets of messages that are done are committed",
        ));
    }
    let millis = config.get("max.poll.interval.ms").and_then(|it| it.trim().parse().ok());
    let interval = millis.map_or(MAX_POLL_INTERVAL, Duration::from_millis);
    let drain = settings.drain;
    if drain >= interval {
        let longer = (2 * drain).as_millis();
        return Err(SettingError::new(
            "max.poll.interval.ms",
            format!(
                "{interval:?} is not above the drain of {drain:?}: while a revoked partition drains, the member would be expelled"
            ),
            format!(
                "write `config.set(\"max.poll.interval.ms\", \"{longer}\")`, or `.drain({:?})` for the worker",
                interval / 2
            ),
        ));
    }
    if settings.dead_letters.as_deref() == Some(topic) {
        let problem =
            format!("`{topic}` is the topic of the worker: a dead letter would be handled again");
        return Err(SettingError::new("dead_letters", problem, "name another topic"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(pairs: &[(&str, &str)], settings: &Settings) -> (&'static str, String) {
        let mut config = ClientConfig::new();
        config.set("group.id", "workers");
        for (key, value) in pairs {
            config.set(*key, *value);
        }
        let error =
            check(&config, "orders", settings).expect_err("the settings contradict each other");
        (error.setting(), error.to_string())
    }

    #[test]
    fn settings_that_fit_are_accepted() {
        let mut config = ClientConfig::new();
        config.set("group.id", "workers");
        assert_eq!(check(&config, "orders", &Settings::default()), Ok(()));
    }

    #[test]
    fn a_drain_longer_than_the_poll_interval_is_refused() {
        let (setting, said) = refused(&[("max.poll.interval.ms", "20000")], &Settings::default());
        assert_eq!(setting, "max.poll.interval.ms");
        assert!(said.ends_with(
            "help: write `config.set(\"max.poll.interval.ms\", \"40000\")`, or `.drain(10s)` for the worker"
        ), "{said}");
        let mut settings = Settings::default();
        settings.drain = MAX_POLL_INTERVAL;
        assert_eq!(refused(&[], &settings).0, "max.poll.interval.ms");
    }

    #[test]
    fn a_consumer_that_commits_what_it_read_is_refused() {
        let settings = Settings::default();
        for (key, value) in [("enable.auto.offset.store", "true"), ("enable.auto.commit", "false")]
        {
            assert_eq!(refused(&[(key, value)], &settings).0, key);
        }
    }

    #[test]
    fn a_consumer_without_a_group_is_refused() {
        let error =
            check(&ClientConfig::new(), "orders", &Settings::default()).expect_err("no group");
        assert_eq!(error.setting(), "group.id");
    }

    #[test]
    fn dead_letters_in_the_same_topic_are_refused() {
        let mut settings = Settings::default();
        settings.dead_letters = Some("orders".into());
        assert_eq!(refused(&[], &settings).0, "dead_letters");
    }
}
