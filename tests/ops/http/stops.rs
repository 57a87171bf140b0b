//! The example `console` during its shutdown.

use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_supervised::ops;

use super::{ask, request, tasks_until};
use testkit::program::Program;

#[tokio::test]
async fn after_the_signal_it_is_not_ready_but_served_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut console = Program::example("console", directory.path(), ["--port", "0"]);
    let line = console.next_line();
    let address = line.strip_prefix("http://").unwrap().strip_suffix("/debug/tasks").unwrap();
    assert_eq!(ask(address, "/readyz", &[]).await.status, 200);

    // It takes 3 s to stop.
    tasks_until(address, |text| text.contains("journal (task ")).await;
    console.signal(Signal::SIGTERM);
    let text = tasks_until(address, |text| text.contains(": stopping, ")).await;
    assert!(text.starts_with("console (process "), "{text}");
    assert!(text.contains("), stopping, not ready, "), "{text}");
    let answer = ask(address, "/readyz", &[]).await;
    assert_eq!((answer.status, answer.text()), (503, "stopping\n"));
    assert_eq!(ask(address, "/healthz", &[]).await.status, 200);
    // A stream ends then: it would delay a server that waits for it.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let events = request("/debug/tasks/events", &[("connection", "close")]);
    stream.write_all(events.as_bytes()).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert_eq!(all.matches("data: ").count(), 1, "{all}");

    let ended = console.close_stdin().end();
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn the_health_of_a_runtime_that_has_ended_is_bad() {
    let ended = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { ops::listen(0).unwrap() })
    });
    let address = ended.join().unwrap();
    let answer = ask(address, "/healthz", &[]).await;
    assert_eq!((answer.status, answer.text()), (503, "the runtime has ended\n"));
}
