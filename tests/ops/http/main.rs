//! The ops server as a client sees it, without a browser.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "the server under test is outside of supervision, and a worker is blocked on purpose"
)]

mod answers;
mod bounds;
mod hangs;
mod hosts;
mod stops;
mod streams;

use std::time::Duration;

use serde_json::Value;
use testkit::http::{Answer, Connection};
use tokio::time::timeout;

/// A request with custom headers, on a separate connection.
async fn ask(address: impl ToString, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut connection = Connection::open(&address.to_string()).await.unwrap();
    connection.send(request(path, headers).as_bytes()).await.unwrap();
    connection.answer().await.unwrap()
}

/// Requests the live tasks until they are as expected: a snapshot may be half a second old.
async fn tasks_until(address: impl ToString, is_so: impl Fn(&str) -> bool) -> String {
    let polls = async {
        loop {
            let answer = ask(address.to_string(), "/debug/tasks", &[]).await;
            if is_so(answer.text()) {
                return answer.text().to_owned();
            }
        }
    };
    timeout(Duration::from_secs(30), polls).await.expect("the condition holds in time")
}

/// The same for JSON, until the predicate returns something.
async fn json_until<T>(address: impl ToString, find: impl Fn(&Value) -> Option<T>) -> T {
    let polls = async {
        loop {
            let answer = ask(address.to_string(), "/debug/tasks", &[JSON]).await;
            if let Some(found) = find(&serde_json::from_str(answer.text()).unwrap()) {
                return found;
            }
        }
    };
    timeout(Duration::from_secs(30), polls).await.expect("the condition holds in time")
}

/// The object with that value in a list.
fn object_of(json: &Value, list: &str, key: &str, value: &str) -> Option<Value> {
    json[list].as_array().unwrap().iter().find(|each| each[key] == value).cloned()
}

/// To `localhost`, unless a host is given.
fn request(path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    if headers.iter().all(|(name, _)| *name != "host") {
        request += "host: localhost\r\n";
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request + "\r\n"
}

const JSON: (&str, &str) = ("accept", "application/json");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
