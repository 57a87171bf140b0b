//! A NATS server with its store in a folder, which it finds again when it is started anew.

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

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Broker {
    server: Option<Running>,
    program: PathBuf,
    setpriv: PathBuf,
    place: PathBuf,
    port: u16,
}

impl Broker {
    /// Starts it on a port of its choice.
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
        until("the broker says where it listens", LIMIT, || {
            let said = fs::read_to_string(&ports).unwrap_or_default();
            let port = said.split("127.0.0.1:").nth(1).and_then(|it| it.split('"').next());
            broker.port = port.and_then(|port| port.parse().ok()).unwrap_or(0);
            broker.port > 0
        });
        broker
    }

    /// Starts it, again on the port that it had.
    pub(crate) fn run(&mut self) {
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let mut command = command(&self.setpriv, Signal::SIGKILL, &self.program);
        command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd", "store", "-l", "broker.log"]);
        command.arg("--ports_file_dir").arg(&self.place).current_dir(&self.place);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(Running::start(command, Signal::SIGKILL));
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// What the broker keeps, as another client sees it.
pub(crate) struct Kept(Context);

/// A message among the dead.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) delivered: String,
    pub(crate) text: String,
}

impl Kept {
    pub(crate) async fn connect(broker: &Broker) -> Self {
        let options = ConnectOptions::new().retry_on_initial_connect();
        let mut context = jetstream::new(options.connect(broker.url()).await.unwrap());
        context.set_timeout(Duration::from_secs(2));
        Self(context)
    }

    /// Puts one order into the queue, and waits until it is stored.
    pub(crate) async fn publish(&self, order: usize) {
        let message = PublishMessage::build().message_id(order.to_string());
        let message = message.payload(format!("{order} 2 20").into());
        self.0.send_publish("orders.new", message).await.unwrap().await.unwrap();
    }

    /// How many orders are in the queue; `None` while the broker does not say.
    pub(crate) async fn waiting(&self) -> Option<u64> {
        let stream = self.0.get_stream("ORDERS").await.ok()?;
        Some(stream.cached_info().state.messages)
    }

    /// How many messages have been delivered, each as often as it was.
    pub(crate) async fn delivered(&self) -> Option<u64> {
        let stream = self.0.get_stream("ORDERS").await.ok()?;
        let workers: consumer::PullConsumer = stream.get_consumer("workers").await.ok()?;
        Some(workers.cached_info().delivered.consumer_sequence)
    }

    /// How many messages are still to be delivered, or are with a worker.
    pub(crate) async fn unsettled(&self) -> Option<u64> {
        let stream = self.0.get_stream("ORDERS").await.ok()?;
        let workers: consumer::PullConsumer = stream.get_consumer("workers").await.ok()?;
        let info = workers.cached_info();
        Some(info.num_pending + u64::try_from(info.num_ack_pending).unwrap())
    }

    /// Takes away what the broker knows of deliveries and acknowledgements.
    pub(crate) async fn forget_consumer(&self) {
        let stream = self.0.get_stream("ORDERS").await.unwrap();
        stream.delete_consumer("workers").await.unwrap();
    }

    /// What the broker says of the queue and its consumer, for a test that fails.
    pub(crate) async fn state(&self) -> String {
        let Ok(stream) = self.0.get_stream("ORDERS").await else { return "no stream".into() };
        let workers = stream.get_consumer::<consumer::pull::Config>("workers").await;
        let workers = workers.map(|workers| workers.cached_info().clone());
        format!("{:#?}\n{workers:#?}", stream.cached_info().state)
    }

    /// How many messages are among the dead; `None` while the broker does not say.
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
