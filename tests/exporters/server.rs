//! A Prometheus server that scrapes the page, stores it, and answers queries.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread,
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio_supervised::{CancellationToken, TaskError, prometheus, supervised};

use crate::{WATCHDOG, run, tool};

/// Serves the page on the loopback interface for every scrape; ends with its process.
struct Served {
    address: SocketAddr,
    /// One message for each answered scrape.
    scrapes: Receiver<()>,
}

impl Served {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (answered, scrapes) = sync_channel(1_000);
        thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                let answered = answered.clone();
                thread::spawn(move || answer(connection, &answered));
            }
        });
        Self { address, scrapes }
    }
}

/// One request, one answer.
fn answer(connection: TcpStream, answered: &SyncSender<()>) -> Option<()> {
    connection.set_read_timeout(Some(WATCHDOG)).ok()?;
    let mut reader = BufReader::new(&connection);
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let (kind, text) = (prometheus::CONTENT_TYPE, prometheus::text());
    let length = text.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
    (&connection).write_all(format!("{head}Connection: close\r\n\r\n{text}").as_bytes()).ok()?;
    answered.try_send(()).ok()
}

/// A server with its data in a temporary directory; both are removed on drop.
struct Server {
    child: Child,
    address: String,
    /// Its later output, for a failing test.
    said: Receiver<String>,
    _place: TempDir,
}

impl Server {
    /// Starts it on a port of its choice, and waits until it reports the port.
    fn start(program: &Path, page: SocketAddr) -> Self {
        let place = tempfile::tempdir().unwrap();
        let config = serde_json::json!({
            "global": {
                "scrape_interval": "200ms",
                "scrape_timeout": "200ms",
                "evaluation_interval": "200ms",
            },
            "rule_files": [tool::rules("rules.yml").canonicalize().unwrap()],
            "scrape_configs": [{ "job_name": "test", "static_configs": [{ "targets": [page] }] }],
        });
        // JSON is YAML.
        fs::write(place.path().join("prometheus.yml"), config.to_string()).unwrap();
        let mut child = Command::new(program)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines(child.stderr.take().unwrap());
        let mut server = Self { child, address: String::new(), said, _place: place };
        while server.address.is_empty() {
            let line = server.said.recv_timeout(WATCHDOG).expect("it prints its address");
            if line.contains("Listening on") {
                let rest = line.split("address=").last().unwrap();
                server.address = rest.split_whitespace().next().unwrap().into();
            }
        }
        server
    }

    /// The result of a query: the samples; `None` while it does not answer.
    fn query(&self, query: &str) -> Option<Vec<Value>> {
        let mut path = String::from("/api/v1/query?query=");
        for byte in query.bytes() {
            write!(path, "%{byte:02X}").unwrap();
        }
        let mut connection = TcpStream::connect(&self.address).ok()?;
        connection.set_read_timeout(Some(WATCHDOG)).ok()?;
        // HTTP/1.0: the answer is not chunked.
        write!(connection, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let mut body: Value = serde_json::from_str(body).ok()?;
        assert_eq!(body["status"], "success", "{body}");
        let Value::Array(found) = body["data"]["result"].take() else { panic!("{body}") };
        Some(found)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Its output, line by line; read to the end, so the server never blocks on a full pipe.
fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (said, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            _ = said.send(line);
        }
    });
    lines
}

/// Queries after each scrape until there is an answer.
fn until_found(server: &Server, served: &Served, deadline: Instant, query: &str) -> Vec<Value> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if served.scrapes.recv_timeout(left).is_err() {
            panic!("no answer to {query}: {:#?}", server.said.try_iter().collect::<Vec<_>>());
        }
        if let Some(found) = server.query(query).filter(|found| !found.is_empty()) {
            return found;
        }
    }
}

#[test]
#[ignore = "needs prometheus"]
fn a_prometheus_server_scrapes_the_page_and_fires_its_rules() {
    const NAME: &str = "server: \"größe\"\\\n{}";

    #[supervised(name = "server: \"größe\"\\\n{}", limit = 7)]
    async fn scraped(fails: bool) -> Result<(), TaskError> {
        assert!(!fails, "as asked");
        Ok(())
    }

    let program = testkit::tools::find(&["prometheus"]);
    run(async {
        let token = CancellationToken::new();
        for step in 0..5 {
            assert_eq!(scraped(&token, step == 3).await.is_err(), step == 3);
        }
    });
    let served = Served::start();
    let server = Server::start(&program, served.address);
    // The first scrape is some seconds after its start; then there are five a second.
    let deadline = Instant::now() + WATCHDOG;

    // The name as PromQL writes it.
    let name = r#"task="server: \"größe\"\\\n{}""#;
    for (query, expected) in [
        (format!("supervised_tasks_started_total{{{name}}}"), "5"),
        (format!("supervised_tasks_finished_total{{{name},outcome=\"ok\"}}"), "4"),
        (format!("supervised_tasks_finished_total{{{name},outcome=\"timed_out\"}}"), "0"),
        (format!("supervised_task_limit{{{name}}}"), "7"),
        (format!("supervised_task_duration_seconds_bucket{{{name},le=\"+Inf\"}}"), "5"),
        (
            format!(
                "histogram_quantile(1, supervised_task_duration_seconds_bucket{{{name}}}) <= bool 100"
            ),
            "1",
        ),
        (format!("absent(supervised_tasks_started_total{{{name}}}) or vector(0)"), "0"),
        (format!("ALERTS{{alertname=\"SupervisedTaskPanicked\",{name}}}"), "1"),
    ] {
        let found = until_found(&server, &served, deadline, &query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        assert_eq!(found[0]["value"][1], expected, "{query}: {found:?}");
        let task = &found[0]["metric"]["task"];
        assert!(task == NAME || query.starts_with("absent"), "{task}");
    }
}
