//! The queue.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::{
    Client,
    jetstream::{
        Context,
        consumer::{AckPolicy, Config, pull},
        context::GetStreamByNameErrorKind,
    },
};
use tokio_supervised_worker::{BoxError, Queue, SettingError, Settings};

use crate::{delivery::JetStreamDelivery, pulls::Pulls};

/// How long one exchange with the broker may take.
pub(crate) const EXCHANGE: Duration = Duration::from_secs(2);

/// Makes a consumer of a stream a queue.
///
/// The consumer is created, or updated, with this configuration. Give it a `durable_name`: without one the broker
/// forgets it with the process. Several processes with the same name share the messages.
pub fn queue(
    context: Context,
    stream: impl Into<String>,
    consumer: pull::Config,
) -> JetStreamQueue {
    let mut context = context;
    context.set_timeout(EXCHANGE);
    JetStreamQueue { context, stream: stream.into(), consumer, connection: None }
}

/// A consumer of a JetStream stream. See [`queue`].
pub struct JetStreamQueue {
    context: Context,
    stream: String,
    consumer: pull::Config,
    connection: Option<Connection>,
}

/// What is replaced when the broker was away.
struct Connection {
    pulls: Pulls,
    /// The configuration that the broker has.
    config: Config,
    /// Whether a stream stores the dead letters.
    stores_dead: bool,
}

/// What the deliveries of a connection share.
pub(crate) struct Desk {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) dead_letters: Option<Arc<str>>,
}

impl JetStreamQueue {
    fn connection(&mut self) -> Result<&mut Connection, BoxError> {
        self.connection.as_mut().ok_or_else(|| "the queue is not connected".into())
    }

    async fn stores(&self, subject: &str) -> Result<bool, BoxError> {
        match self.context.stream_by_subject(subject).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Queue for JetStreamQueue {
    type Delivery = JetStreamDelivery;
    type Error = BoxError;

    fn system(&self) -> &'static str {
        "nats"
    }

    fn destination(&self) -> &str {
        &self.stream
    }

    async fn connect(&mut self, settings: &Settings) -> Result<(), BoxError> {
        self.connection = None;
        let stream = self.context.get_stream(&self.stream).await?;
        let consumer = stream.create_consumer(self.consumer.clone()).await?;
        let stores_dead = match &settings.dead_letters {
            Some(subject) => self.stores(subject).await?,
            None => true,
        };
        let config = consumer.cached_info().config.clone();
        let client = self.context.client();
        let context = self.context.clone();
        let desk = Desk { client, context, dead_letters: settings.dead_letters.clone() };
        let pulls = Pulls::new(Arc::new(desk), consumer).await?;
        self.connection = Some(Connection { pulls, config, stores_dead });
        Ok(())
    }

    fn check(&self, settings: &Settings) -> Result<(), SettingError> {
        let Some(connection) = &self.connection else { return Ok(()) };
        check(&connection.config, settings)?;
        if let (false, Some(subject)) = (connection.stores_dead, &settings.dead_letters) {
            return Err(SettingError::new(
                "dead_letters",
                format!("no stream stores the subject `{subject}`"),
                format!("create a stream whose `subjects` contain `{subject}`"),
            ));
        }
        Ok(())
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<JetStreamDelivery>, BoxError> {
        self.connection()?.pulls.pull(room).await
    }

    fn open(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.pulls.open())
    }

    async fn close(&mut self) -> Result<(), BoxError> {
        self.connection = None;
        // Everything that is settled was confirmed: this is for what the program has published.
        _ = tokio::time::timeout(EXCHANGE, self.context.client().flush()).await;
        Ok(())
    }
}

impl fmt::Debug for JetStreamQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamQueue")
            .field("stream", &self.stream)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

/// Compares the settings of a worker with those of its consumer.
fn check(consumer: &Config, settings: &Settings) -> Result<(), SettingError> {
    let Settings { slots, attempts, progress, ordered, .. } = *settings;
    if consumer.ack_policy != AckPolicy::Explicit {
        let problem = format!("{:?} acknowledges messages that are not done", consumer.ack_policy);
        return Err(SettingError::new("ack_policy", problem, "write `AckPolicy::Explicit`"));
    }
    if consumer.ack_wait < 2 * progress {
        let (wait, at_most) = (consumer.ack_wait, consumer.ack_wait / 3);
        return Err(SettingError::new(
            "ack_wait",
            format!("{wait:?} is below twice the progress interval of {progress:?}"),
            format!(
                "write `ack_wait: Duration::from_secs({})` for the consumer, or `.progress({at_most:?})` for the worker",
                (3 * progress).as_secs_f64().ceil()
            ),
        ));
    }
    // 0 and -1 stand for no limit.
    let pending = usize::try_from(consumer.max_ack_pending).unwrap_or(0);
    if ordered && pending != 1 {
        return Err(SettingError::new(
            "max_ack_pending",
            format!(
                "with {pending}, a message overtakes another one of its key that waits for its redelivery"
            ),
            "write `max_ack_pending: 1` and `.slots(1)`, with one consumer for each partition of the subjects",
        ));
    }
    if pending > 0 && slots > pending {
        return Err(SettingError::new(
            "max_ack_pending",
            format!("{slots} slots are above {pending}: some of them would never get a message"),
            format!(
                "write `max_ack_pending: {slots}` times the number of processes, or `.slots({pending})`"
            ),
        ));
    }
    let (deliveries, most) = (consumer.max_deliver, 2 * i64::from(attempts));
    if deliveries > 0 && deliveries <= most {
        return Err(SettingError::new(
            "max_deliver",
            format!(
                "after {deliveries} deliveries a message would stay in the stream without becoming a dead letter"
            ),
            format!("write `max_deliver: -1`, or more than twice the attempts: {}", most + 20),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer() -> Config {
        Config {
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 1_000,
            max_deliver: -1,
            ..Config::default()
        }
    }

    fn settings() -> Settings {
        Settings::default()
    }

    #[track_caller]
    fn refused(consumer: &Config, settings: &Settings, help: &str) -> &'static str {
        let error = check(consumer, settings).expect_err("the settings contradict each other");
        assert!(error.to_string().contains(help), "{error}");
        error.setting()
    }

    #[test]
    fn settings_that_fit_are_accepted() {
        assert_eq!(check(&consumer(), &settings()), Ok(()));
    }

    #[test]
    fn an_ack_wait_below_the_progress_interval_is_refused() {
        let consumer = Config { ack_wait: Duration::from_secs(2), ..consumer() };
        let help = "write `ack_wait: Duration::from_secs(15)` for the consumer, or `.progress(666.666666ms)`";
        assert_eq!(refused(&consumer, &settings(), help), "ack_wait");
    }

    #[test]
    fn slots_above_max_ack_pending_are_refused() {
        let consumer = Config { max_ack_pending: 4, ..consumer() };
        assert_eq!(refused(&consumer, &settings(), "or `.slots(4)`"), "max_ack_pending");
        let unlimited = Config { max_ack_pending: -1, ..consumer };
        assert_eq!(check(&unlimited, &settings()), Ok(()));
    }

    #[test]
    fn an_order_that_a_redelivery_would_break_is_refused() {
        let mut settings = settings();
        settings.ordered = true;
        let help = "write `max_ack_pending: 1`";
        assert_eq!(refused(&consumer(), &settings, help), "max_ack_pending");
        settings.slots = 1;
        let one = Config { max_ack_pending: 1, ..consumer() };
        assert_eq!(check(&one, &settings), Ok(()));
    }

    #[test]
    fn a_max_deliver_below_the_attempts_is_refused() {
        let consumer = Config { max_deliver: 10, ..consumer() };
        assert_eq!(
            refused(&consumer, &settings(), "more than twice the attempts: 30"),
            "max_deliver"
        );
    }

    #[test]
    fn a_consumer_that_does_not_acknowledge_is_refused() {
        let consumer = Config { ack_policy: AckPolicy::None, ..consumer() };
        assert_eq!(refused(&consumer, &settings(), "AckPolicy::Explicit"), "ack_policy");
    }
}
