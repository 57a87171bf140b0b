//! Very many live tasks: they are listed quickly, and the page summarises them.
//!
//! `cargo test --release -p supervised-ops --test ops_scale -- --ignored --nocapture` starts a million of them.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "page/browser.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod browser;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use browser::Browser;
use tokio::runtime::Runtime;
use tokio_supervised::{CancellationToken, Group, TaskError, ops, supervised, tasks};

#[supervised]
async fn waits() -> Result<(), TaskError> {
    std::future::pending().await
}

#[supervised]
async fn holds(token: &CancellationToken, many: usize) -> Result<(), TaskError> {
    let group = Group::new(token);
    for _ in 0..many {
        group.spawn(waits).await;
    }
    group.join().await.map(drop)
}

#[test]
fn fifty_thousand_tasks_are_listed_and_summarised() {
    with_tasks(50_000, |_| {});
}

#[test]
#[ignore = "needs chromium"]
fn fifty_thousand_tasks_are_summarised_on_the_page() {
    with_tasks(50_000, |address| see_on_the_page(address, 50_000));
}

#[test]
#[ignore = "long: a million tasks take most of a gigabyte, and want a release build"]
fn a_million_tasks_are_listed_within_a_second_and_summarised() {
    with_tasks(1_000_000, |address| see_on_the_page(address, 1_000_000));
}

fn with_tasks(many: usize, look: impl FnOnce(SocketAddr)) {
    let runtime = Runtime::new().unwrap();
    let token = CancellationToken::new();
    let group = Group::<(), TaskError>::new(&token);
    #[expect(clippy::disallowed_methods, reason = "the tasks outlive the test's thread")]
    let address = runtime.handle().block_on(async {
        group.spawn(move |token| holds(token, many)).await;
        ops::listen(0).unwrap()
    });
    // The last of them has started.
    let started = Instant::now();
    while tasks().len() <= many {
        assert!(started.elapsed() < Duration::from_secs(120), "not all tasks were started");
    }

    let quickest = (0..5).map(|_| {
        let started = Instant::now();
        let live = tasks();
        let took = started.elapsed();
        assert_eq!(live.len(), many + 1);
        took
    });
    let quickest = quickest.min().unwrap();
    println!("{many} live tasks: tasks() took {quickest:?}");
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    look(address);
    drop(group);
    runtime.shutdown_timeout(Duration::from_secs(30));
}

fn see_on_the_page(address: SocketAddr, many: usize) {
    let start = Instant::now();
    let mut browser = Browser::open(&format!("http://{address}/debug/tasks"));
    browser.until("document.querySelectorAll('#tasks tbody tr').length > 5");
    let shown = start.elapsed();
    let more = many - 8;
    let text = format!(
        "document.querySelector('#tasks').innerText.includes(`and ${{count({more})}} more waits`)"
    );
    browser.until(&text);
    // The cost of one more snapshot: the page must stay responsive.
    let cost = browser.value(
            "fetch(here, { headers: { accept: 'application/json' } }).then((answer) => answer.text()) \
             .then((text) => { const start = performance.now(); show({ ...JSON.parse(text), at_unix_seconds: past.at(-1).at + 0.001 }); \
             document.body.offsetHeight; return [text.length, performance.now() - start]; })",
        );
    let (bytes, took) = (cost[0].as_u64().unwrap(), cost[1].as_f64().unwrap());
    println!(
        "the page was shown after {shown:?}; a snapshot of {bytes} bytes took it {took:.1} ms"
    );
    assert!(bytes < 200_000, "{bytes} bytes");
    assert!(took < 200.0, "{took} ms");
    assert_eq!(browser.complaints(), [0; 0]);
}
