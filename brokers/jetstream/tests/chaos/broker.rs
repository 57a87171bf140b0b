//! A NATS server with its store in a folder, which survives a restart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::{self, Context, consumer, message::PublishMessage, stream},
};
use nix::sys::signal::Signal;

use crate::{
    child::{Running, command, until},
    tool::Tools,
};

/// A message that is published again within this time is not stored again.
const DUPLICATES: Duration = Duration::from_secs(120);

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Broker {
    server: Option<Running>,
    program: PathBuf,
    setpriv: PathBuf,
    place: PathBuf,
    port: u16,
}

impl Broker {
    /// Starts a server on a free port.
    pub(crate) fn start(tools: &Tools, place: &Path) -> Self {
        let mut broker = Self {
            server: None,
            program: tools.nats_server.clone(),
            setpriv: tools.setpriv.clone(),
            place: place.to_owned(),
            port: 0,
        };
        broker.run();
        let server = broker.server.as_ref().unwrap();
        let ports = place.join(format!("nats-server_{}.ports", server.child.id()));
        until("the broker reports its port", LIMIT, || {
            let said = fs::read_to_string(&ports).unwrap_or_default();
            let port = said.split("127.0.0.1:").nth(1).and_then(|it| it.split('"').next());
            broker.port = port.and_then(|port| port.parse().ok()).unwrap_or(0);
            broker.port > 0
        });
        broker
    }

    /// Starts the server, on the previous port if it had one.
    pub(crate) fn run(&mut self) {
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let mut command = command(&self.setpriv, Signal::SIGKILL, &self.program);
        command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd", "store", "-l", "broker.log"]);
        command.arg("--ports_file_dir").arg(&self.place).current_dir(&self.place);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(Running::start(command, Signal::SIGKILL));
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// The broker's streams, as a separate client sees them.
pub(crate) struct Kept(Context);

/// A dead letter.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) delivered: String,
    pub(crate) text: String,
}

impl Kept {
    pub(crate) async fn connect(broker: &Broker) -> Self {
        Self::connect_to(&broker.url()).await.unwrap()
    }

    /// Connects, and creates the missing streams.
    pub(crate) async fn connect_to(url: &str) -> Result<Self, async_nats::Error> {
        let options = ConnectOptions::new().retry_on_initial_connect();
        let mut context = jetstream::new(options.connect(url).await?);
        context.set_timeout(Duration::from_secs(2));
        let kept = Self(context);
        kept.streams().await?;
        Ok(kept)
    }

    /// Creates the missing streams: first that of the dead letters.
    pub(crate) async fn streams(&self) -> Result<(), async_nats::Error> {
        let dead = stream::Config {
            name: "ORDERS_DEAD".into(),
            subjects: vec!["orders.dead".into()],
            duplicate_window: DUPLICATES,
            ..Default::default()
        };
        self.0.get_or_create_stream(dead).await?;
        let orders = stream::Config {
            name: "ORDERS".into(),
            subjects: vec!["orders.new".into(), "orders.new.*".into()],
            retention: stream::RetentionPolicy::WorkQueue,
            discard: stream::DiscardPolicy::New,
            max_messages: 1_000_000,
            duplicate_window: DUPLICATES,
            ..Default::default()
        };
        self.0.get_or_create_stream(orders).await?;
        Ok(())
    }

    pub(crate) fn context(&self) -> &Context {
        &self.0
    }

    /// Publishes one order, and waits until it is stored. Returns whether it was stored before.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        order: &str,
    ) -> Result<bool, async_nats::Error> {
        let id = order.split(' ').next().unwrap_or(order);
        let message = PublishMessage::build().message_id(id).payload(order.to_owned().into());
        Ok(self.0.send_publish(subject.to_owned(), message).await?.await?.duplicate)
    }

    /// Returns the number of orders in the queue; `None` while the broker does not answer.
    pub(crate) async fn waiting(&self) -> Option<u64> {
        let stream = self.0.get_stream("ORDERS").await.ok()?;
        Some(stream.cached_info().state.messages)
    }

    /// Returns the number of deliveries, including redeliveries.
    pub(crate) async fn delivered(&self) -> Option<u64> {
        let stream = self.0.get_stream("ORDERS").await.ok()?;
        let workers: consumer::PullConsumer = stream.get_consumer("workers").await.ok()?;
        Some(workers.cached_info().delivered.consumer_sequence)
    }

    /// Returns the number of messages that are undelivered or unacknowledged.
    pub(crate) async fn unsettled(&self) -> Option<u64> {
        let stream = self.0.get_stream("ORDERS").await.ok()?;
        let workers: consumer::PullConsumer = stream.get_consumer("workers").await.ok()?;
        let info = workers.cached_info();
        Some(info.num_pending + u64::try_from(info.num_ack_pending).unwrap())
    }

    /// Deletes the consumer, and with it all deliveries and acknowledgements.
    pub(crate) async fn forget_consumer(&self) {
        let stream = self.0.get_stream("ORDERS").await.unwrap();
        stream.delete_consumer("workers").await.unwrap();
    }

    /// Describes the queue and its consumer, for the message of a failing test.
    pub(crate) async fn state(&self) -> String {
        let Ok(stream) = self.0.get_stream("ORDERS").await else { return "no stream".into() };
        let workers = stream.get_consumer::<consumer::pull::Config>("workers").await;
        let workers = workers.map(|workers| workers.cached_info().clone());
        format!("{:#?}\n{workers:#?}", stream.cached_info().state)
    }

    /// Returns the number of dead letters; `None` while the broker does not answer.
    pub(crate) async fn given_up(&self) -> Option<u64> {
        Some(self.0.get_stream("ORDERS_DEAD").await.ok()?.cached_info().state.messages)
    }

    pub(crate) async fn dead(&self) -> Vec<Dead> {
        let stream = self.0.get_stream("ORDERS_DEAD").await.unwrap();
        let state = stream.cached_info().state.clone();
        let mut dead = Vec::new();
        for sequence in state.first_sequence.max(1)..=state.last_sequence {
            dead.push(Dead::new(&stream, sequence).await);
        }
        dead
    }
}

impl Dead {
    async fn new(stream: &stream::Stream, sequence: u64) -> Self {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let header = |headers: &HeaderMap, name| headers.get(name).unwrap().to_string();
        Self {
            id: header(&message.headers, "Nats-Msg-Id"),
            reason: header(&message.headers, "Reason"),
            delivered: header(&message.headers, "Delivered"),
            text: String::from_utf8(message.payload.to_vec()).unwrap(),
        }
    }
}
